//! Statements become instructions.

use super::{Compiled, Constants};
use crate::script::ast::{Actor, Expr, Kind, MutexKind, Operator, Statement};
use crate::script::error::{Pos, ScriptError};
use crate::script::program::{Calc, Code, Instruction, Op, Program, Register};

pub(super) struct Compiler<'a> {
    pub(super) program: &'a Program,
    pub(super) constants: &'a Constants,
    pub(super) code: Code,
    /// The next register that nothing uses.
    pub(super) next: Register,
    /// For each loop around this place: the jumps that leave it.
    breaks: Vec<Vec<usize>>,
}

impl Compiler<'_> {
    /// A thread's code, to its end.
    pub(super) fn thread_code(program: &Program, constants: &Constants, actor: &Actor) -> Compiled<Code> {
        let code = Code { instructions: Vec::new(), registers: 0, locals: Vec::new() };
        let mut compiler = Compiler { program, constants, code, next: 0, breaks: Vec::new() };
        compiler.block(&actor.body)?;
        compiler.emit(actor.at, "ends", Op::End);
        Ok(compiler.code)
    }

    pub(super) fn emit(&mut self, at: Pos, note: impl Into<String>, op: Op) -> usize {
        self.code.instructions.push(Instruction { op, at, note: note.into(), part_of: None });
        self.code.instructions.len() - 1
    }

    fn here(&self) -> usize {
        self.code.instructions.len()
    }

    pub(super) fn register(&mut self) -> Register {
        let register = self.next;
        self.next += 1;
        self.code.registers = self.code.registers.max(self.next as usize);
        register
    }

    /// Emits what `inside` needs and then forgets its registers, so that states that differ in nothing but leftovers
    /// are one state. Locals that it made stay.
    fn scratch<T>(&mut self, at: Pos, inside: impl FnOnce(&mut Self) -> Compiled<T>) -> Compiled<T> {
        let first = self.next;
        let locals = self.code.locals.len();
        let result = inside(self)?;
        if self.code.locals.len() == locals {
            if self.next > first {
                self.emit(at, "", Op::Clear(first, self.next));
            }
            self.next = first;
        }
        Ok(result)
    }

    fn block(&mut self, body: &[Statement]) -> Compiled<()> {
        body.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Statement) -> Compiled<()> {
        let at = statement.at;
        match &statement.kind {
            Kind::Wait(name) => {
                let semaphore = self.semaphore(name, at)?;
                self.emit(at, format!("wait {name}"), Op::Wait(semaphore));
            }
            Kind::Post(name) => {
                let semaphore = self.semaphore(name, at)?;
                self.emit(at, format!("post {name}"), Op::Post(semaphore));
            }
            Kind::Lock(name) => {
                let mutex = self.mutex(name.as_deref(), at)?;
                let note = format!("lock {}", self.program.mutexes[mutex].name);
                self.emit(at, note, Op::Lock(mutex));
            }
            Kind::Unlock(name) => {
                let mutex = self.mutex(name.as_deref(), at)?;
                let note = format!("unlock {}", self.program.mutexes[mutex].name);
                self.emit(at, note, Op::Unlock(mutex));
            }
            Kind::Consistent(name) => {
                let mutex = self.mutex(name.as_deref(), at)?;
                if self.program.mutexes[mutex].kind != MutexKind::Robust {
                    let help = format!("declare it so: mutex {} robust", self.program.mutexes[mutex].name);
                    return Err(ScriptError::new(at, "only a robust mutex can be made consistent", help));
                }
                self.emit(at, "consistent", Op::Consistent(mutex));
            }
            Kind::Claim(name) => {
                let cell = self.shared(name, at)?;
                self.emit(at, format!("claim {name}"), Op::Claim(cell));
            }
            Kind::Put => self.put(at)?,
            Kind::Take => self.take(at)?,
            Kind::Fill(index) => self.scratch(at, |this| {
                let index = this.expr(index)?;
                this.emit(at, "write the item", Op::Fill(index));
                Ok(())
            })?,
            Kind::Drain(index) => self.scratch(at, |this| {
                let index = this.expr(index)?;
                this.emit(at, "take the item", Op::Drain(index));
                Ok(())
            })?,
            Kind::Assign(name, value) => self.assign(name, value, at)?,
            Kind::Sleep => {
                self.emit(at, "go to sleep", Op::Sleep);
                self.emit(at, "asleep", Op::Asleep);
            }
            Kind::Wake(name) => {
                let thread = self.thread(name, at)?;
                self.emit(at, format!("wake {name}"), Op::Wake(thread));
            }
            Kind::Fence => {
                self.emit(at, "fence", Op::Fence);
            }
            Kind::Nap(length) => self.scratch(at, |this| {
                let length = this.expr(length)?;
                this.emit(at, "nap", Op::Nap(length));
                Ok(())
            })?,
            Kind::AwaitDeath => {
                self.emit(at, "await death", Op::AwaitDeath);
            }
            Kind::Repeat(count, body) => self.repeat(count, body, at)?,
            Kind::While(condition, body) => {
                let first = self.next;
                let start = self.here();
                let test = self.expr(condition)?;
                let last = self.next;
                let leave = self.emit(at, "", Op::Unless(test, 0));
                self.forget(at, first, last);
                self.looped(body)?;
                self.emit(at, "", Op::Jump(start));
                self.end_loop(Some(leave));
                self.forget(at, first, last);
                self.restore(first);
            }
            Kind::Loop(body) => {
                let start = self.here();
                self.looped(body)?;
                self.emit(at, "", Op::Jump(start));
                self.end_loop(None);
            }
            Kind::If(condition, then, otherwise) => self.conditional(condition, then, otherwise, at)?,
            Kind::Break => {
                let jump = self.emit(at, "", Op::Jump(0));
                let help = "break leaves the nearest repeat, while or loop, and there is none around it";
                match self.breaks.last_mut() {
                    Some(jumps) => jumps.push(jump),
                    None => return Err(ScriptError::new(at, "nothing to break out of", help)),
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self, at: Pos, first: Register, last: Register) {
        if last > first {
            self.emit(at, "", Op::Clear(first, last));
        }
    }

    /// Registers from `first` on may be used again, but for locals that were made since.
    fn restore(&mut self, first: Register) {
        self.next = self.code.locals.iter().map(|(_, register)| register + 1).fold(first, Register::max);
    }

    fn looped(&mut self, body: &[Statement]) -> Compiled<()> {
        self.breaks.push(Vec::new());
        self.block(body)
    }

    /// Lets the jumps out of the innermost loop lead here.
    fn end_loop(&mut self, leave: Option<usize>) {
        let here = self.here();
        for jump in self.breaks.pop().unwrap_or_default().into_iter().chain(leave) {
            self.retarget(jump, here);
        }
    }

    fn retarget(&mut self, instruction: usize, to: usize) {
        if let Op::Jump(target) | Op::Unless(_, target) = &mut self.code.instructions[instruction].op {
            *target = to;
        }
    }

    fn repeat(&mut self, count: &Expr, body: &[Statement], at: Pos) -> Compiled<()> {
        let first = self.next;
        let count = self.expr(count)?;
        let left = self.register();
        self.emit(at, "", Op::Set(left, count));
        let start = self.here();
        let more = Operator::Greater;
        let test = Calc::Pair(more, Box::new(Calc::Register(left)), Box::new(Calc::Number(0)));
        let leave = self.emit(at, "", Op::Unless(test, 0));
        let less = Calc::Pair(Operator::Minus, Box::new(Calc::Register(left)), Box::new(Calc::Number(1)));
        self.emit(at, "", Op::Set(left, less));
        self.looped(body)?;
        self.emit(at, "", Op::Jump(start));
        self.end_loop(Some(leave));
        self.forget(at, first, left + 1);
        self.restore(first);
        Ok(())
    }

    fn conditional(
        &mut self,
        condition: &Expr,
        then: &[Statement],
        otherwise: &[Statement],
        at: Pos,
    ) -> Compiled<()> {
        let first = self.next;
        let test = self.expr(condition)?;
        let last = self.next;
        let to_else = self.emit(at, "", Op::Unless(test, 0));
        self.forget(at, first, last);
        self.block(then)?;
        let to_end = self.emit(at, "", Op::Jump(0));
        let start = self.here();
        self.retarget(to_else, start);
        self.forget(at, first, last);
        self.block(otherwise)?;
        let end = self.here();
        self.retarget(to_end, end);
        self.restore(first);
        Ok(())
    }

    /// `put` is `t = tail; fill t; tail = t + 1`, with a `t` of its own.
    fn put(&mut self, at: Pos) -> Compiled<()> {
        let first = self.here();
        self.scratch(at, |this| {
            let t = this.register();
            this.emit(at, "put: read tail", Op::Load(t, Program::TAIL));
            this.emit(at, "put: write the item", Op::Fill(Calc::Register(t)));
            this.emit(at, "put: move tail", Op::Store(Program::TAIL, after(t)));
            Ok(())
        })?;
        self.mark(first, "put");
        Ok(())
    }

    /// `take` is `h = head; drain h; head = h + 1`, with an `h` of its own.
    fn take(&mut self, at: Pos) -> Compiled<()> {
        let first = self.here();
        self.scratch(at, |this| {
            let h = this.register();
            this.emit(at, "take: read head", Op::Load(h, Program::HEAD));
            this.emit(at, "take: take the item", Op::Drain(Calc::Register(h)));
            this.emit(at, "take: move head", Op::Store(Program::HEAD, after(h)));
            Ok(())
        })?;
        self.mark(first, "take");
        Ok(())
    }

    fn mark(&mut self, first: usize, part_of: &'static str) {
        for instruction in &mut self.code.instructions[first..] {
            instruction.part_of = Some(part_of);
        }
    }

    fn assign(&mut self, name: &str, value: &Expr, at: Pos) -> Compiled<()> {
        if self.constants.iter().any(|(known, _)| known == name) {
            let help = "it has the same value throughout; use a variable of your own";
            return Err(ScriptError::new(at, format!("`{name}` is given and cannot be changed"), help));
        }
        if self.program.semaphore(name).is_some() {
            let help = format!("a semaphore changes by `wait {name}` and `post {name}` alone");
            return Err(ScriptError::new(at, format!("`{name}` is a semaphore, not a variable"), help));
        }
        if self.program.mutexes.iter().any(|mutex| mutex.name == name) {
            let help = format!("a mutex changes by `lock {name}` and `unlock {name}` alone");
            return Err(ScriptError::new(at, format!("`{name}` is a mutex, not a variable"), help));
        }
        if let Some(cell) = self.program.cell(name) {
            return self.scratch(at, |this| {
                let value = this.expr(value)?;
                this.emit(at, format!("write {name}"), Op::Store(cell, value));
                Ok(())
            });
        }
        let first = self.next;
        let value = self.expr(value)?;
        let last = self.next;
        let register = match self.local(name) {
            Some(register) => register,
            None => {
                let register = self.register();
                self.code.locals.push((name.to_owned(), register));
                register
            }
        };
        self.emit(at, "", Op::Set(register, value));
        self.forget(at, first, last);
        self.restore(first);
        Ok(())
    }
}

/// A register's value and one.
fn after(register: Register) -> Calc {
    Calc::Pair(Operator::Plus, Box::new(Calc::Register(register)), Box::new(Calc::Number(1)))
}
