//! From a script to a program: names become indices, statements become instructions.

use super::Given;
use super::ast::{Expr, ExprKind, Kind, MutexKind, Operator, Script, Shared, Statement};
use super::error::{Pos, ScriptError, nearest};
use super::program::{
    Calc, Cell, Code, ITEMS_PER_THREAD, Instruction, Mutex, Op, Program, Register, Semaphore, ThreadInfo,
};

type Compiled<T> = Result<T, ScriptError>;

/// Threads of a program in all; item names have a letter each.
const THREADS_MAX: usize = 16;

pub(crate) fn compile(script: &Script, given: Given<'_>) -> Compiled<Program> {
    let capacity = script.capacity as usize;
    let mut cells =
        vec![Cell { name: "head".to_owned(), initial: 0 }, Cell { name: "tail".to_owned(), initial: 0 }];
    cells.extend((0..capacity).map(|index| Cell { name: format!("ring[{index}]"), initial: 0 }));
    let mut program = Program {
        capacity,
        memory: script.memory,
        cells,
        semaphores: Vec::new(),
        mutexes: Vec::new(),
        threads: Vec::new(),
        codes: Vec::new(),
    };
    let mut constants: Vec<(String, i32)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    constants.push(("capacity".to_owned(), script.capacity as i32));

    for declared in &script.declarations {
        if constants.iter().any(|(name, _)| *name == declared.name) {
            let what = format!("`{}` is given by the lab", declared.name);
            return Err(ScriptError::new(declared.at, what, "choose another name"));
        }
        let name = declared.name.clone();
        match &declared.kind {
            Shared::Variable(value) => {
                program.cells.push(Cell { name, initial: constant(value, &constants)? });
            }
            Shared::Semaphore(value) => {
                let initial = constant(value, &constants)?;
                if initial < 0 {
                    let what = format!("the semaphore `{name}` cannot start at {initial}");
                    return Err(ScriptError::new(value.at, what, "a semaphore's value is never below 0"));
                }
                program.semaphores.push(Semaphore { name, initial });
            }
            Shared::Mutex(kind) => program.mutexes.push(Mutex { name, kind: *kind }),
        }
    }

    for (code, actor) in script.actors.iter().enumerate() {
        for copy in 0..actor.copies {
            let name =
                if actor.copies == 1 { actor.name.clone() } else { format!("{}.{}", actor.name, copy + 1) };
            let (kind, service, priority) = (actor.name.clone(), actor.service, actor.priority);
            program.threads.push(ThreadInfo { name, kind, code, service, priority });
        }
        if program.threads.len() > THREADS_MAX {
            let what = format!("more than {THREADS_MAX} threads in all");
            return Err(ScriptError::new(actor.at, what, "start fewer of them"));
        }
    }
    for actor in &script.actors {
        let mut compiler = Compiler {
            program: &program,
            constants: &constants,
            code: Code { instructions: Vec::new(), registers: 0, locals: Vec::new() },
            next: 0,
            breaks: Vec::new(),
        };
        compiler.block(&actor.body)?;
        compiler.emit(actor.at, "ends", Op::End);
        let code = compiler.code;
        if code.instructions.len() > usize::from(u16::MAX) {
            return Err(ScriptError::new(
                actor.at,
                "this thread is too long",
                "write loops instead of copies",
            ));
        }
        program.codes.push(code);
    }
    Ok(program)
}

/// The value of an expression that has numbers and given names alone.
fn constant(expr: &Expr, constants: &[(String, i32)]) -> Compiled<i32> {
    let value = match &expr.kind {
        ExprKind::Number(number) => *number,
        ExprKind::Name(name) => match constants.iter().find(|(known, _)| known == name) {
            Some((_, value)) => *value,
            None => {
                let known: Vec<&str> = constants.iter().map(|(name, _)| name.as_str()).collect();
                let help =
                    format!("a first value is made of numbers and of what is given: {}", known.join(", "));
                return Err(ScriptError::new(
                    expr.at,
                    format!("`{name}` has no value before the start"),
                    help,
                ));
            }
        },
        ExprKind::Minus(inner) => constant(inner, constants)?.wrapping_neg(),
        ExprKind::Pair(operator, left, right) => {
            let (left, right) = (constant(left, constants)?, constant(right, constants)?);
            operator.apply(left, right).ok_or_else(|| {
                ScriptError::new(expr.at, "division by zero", "a first value must be a number")
            })?
        }
        _ => {
            let help = "a first value is made of numbers and of what is given";
            return Err(ScriptError::new(expr.at, "this has no value before the start", help));
        }
    };
    Ok(value)
}

impl Operator {
    /// The result; `None` for a division by zero. Overflow wraps.
    pub(crate) fn apply(self, left: i32, right: i32) -> Option<i32> {
        Some(match self {
            Self::Or => i32::from(left != 0 || right != 0),
            Self::And => i32::from(left != 0 && right != 0),
            Self::Equal => i32::from(left == right),
            Self::Unequal => i32::from(left != right),
            Self::Less => i32::from(left < right),
            Self::AtMost => i32::from(left <= right),
            Self::Greater => i32::from(left > right),
            Self::AtLeast => i32::from(left >= right),
            Self::Plus => left.wrapping_add(right),
            Self::Minus => left.wrapping_sub(right),
            Self::Times => left.wrapping_mul(right),
            Self::Over => return (right != 0).then(|| left.wrapping_div(right)),
            Self::Rest => return (right != 0).then(|| left.wrapping_rem(right)),
        })
    }
}

struct Compiler<'a> {
    program: &'a Program,
    constants: &'a [(String, i32)],
    code: Code,
    /// The next register that nothing uses.
    next: Register,
    /// For each loop around this place: the jumps that leave it.
    breaks: Vec<Vec<usize>>,
}

impl Compiler<'_> {
    fn emit(&mut self, at: Pos, note: impl Into<String>, op: Op) -> usize {
        self.code.instructions.push(Instruction { op, at, note: note.into(), part_of: None });
        self.code.instructions.len() - 1
    }

    fn here(&self) -> usize {
        self.code.instructions.len()
    }

    fn register(&mut self) -> Register {
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

    fn local(&self, name: &str) -> Option<Register> {
        self.code.locals.iter().find(|(known, _)| known == name).map(|(_, register)| *register)
    }

    /// Emits the reads that an expression needs, left to right, each an instruction, and gives the calculation.
    fn expr(&mut self, expr: &Expr) -> Compiled<Calc> {
        let at = expr.at;
        Ok(match &expr.kind {
            ExprKind::Number(number) => Calc::Number(*number),
            ExprKind::Me => Calc::Me,
            ExprKind::OwnerDead => Calc::OwnerDead,
            ExprKind::Dead(who) => {
                let who = self.expr(who)?;
                let register = self.register();
                self.emit(at, "is it dead?", Op::Dead(register, who));
                Calc::Register(register)
            }
            ExprKind::Value(name) => {
                let semaphore = self.semaphore(name, at)?;
                let register = self.register();
                self.emit(at, format!("read value of {name}"), Op::Value(register, semaphore));
                Calc::Register(register)
            }
            ExprKind::Not(inner) => Calc::Not(Box::new(self.expr(inner)?)),
            ExprKind::Minus(inner) => Calc::Minus(Box::new(self.expr(inner)?)),
            ExprKind::Pair(operator, left, right) => {
                let left = self.expr(left)?;
                Calc::Pair(*operator, Box::new(left), Box::new(self.expr(right)?))
            }
            ExprKind::Name(name) => self.name(name, at)?,
        })
    }

    fn name(&mut self, name: &str, at: Pos) -> Compiled<Calc> {
        if let Some(cell) = self.program.cell(name) {
            let register = self.register();
            self.emit(at, format!("read {name}"), Op::Load(register, cell));
            return Ok(Calc::Register(register));
        }
        if let Some(register) = self.local(name) {
            return Ok(Calc::Register(register));
        }
        if let Some((_, value)) = self.constants.iter().find(|(known, _)| known == name) {
            return Ok(Calc::Number(*value));
        }
        if self.program.semaphore(name).is_some() {
            let help = format!("write value({name}), and mind that it may change before you use it");
            return Err(ScriptError::new(at, format!("`{name}` is a semaphore, not a variable"), help));
        }
        let cells = self.program.cells.iter().map(|cell| cell.name.as_str());
        let locals = self.code.locals.iter().map(|(name, _)| name.as_str());
        let given = self.constants.iter().map(|(name, _)| name.as_str());
        let help = match nearest(name, cells.chain(locals).chain(given)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                format!("declare it at the top (shared {name} = 0) or give it a value first ({name} = 0)")
            }
        };
        Err(ScriptError::new(at, format!("`{name}` has no value here"), help))
    }

    fn semaphore(&self, name: &str, at: Pos) -> Compiled<usize> {
        let known = self.program.semaphores.iter().map(|semaphore| semaphore.name.as_str());
        self.program.semaphore(name).ok_or_else(|| unknown("semaphore", name, at, known, "= 0"))
    }

    fn shared(&self, name: &str, at: Pos) -> Compiled<usize> {
        let known = self.program.cells.iter().map(|cell| cell.name.as_str());
        let known = known.filter(|name| !name.starts_with("ring["));
        self.program.cell(name).ok_or_else(|| unknown("shared", name, at, known, "= 0"))
    }

    fn mutex(&self, name: Option<&str>, at: Pos) -> Compiled<usize> {
        let mutexes = &self.program.mutexes;
        match name {
            None if mutexes.len() == 1 => Ok(0),
            None if mutexes.is_empty() => Err(ScriptError::new(
                at,
                "there is no mutex",
                "declare one at the top of the script: mutex m",
            )),
            None => {
                let names: Vec<&str> = mutexes.iter().map(|mutex| mutex.name.as_str()).collect();
                let help = format!("say which: {}", names.join(", "));
                Err(ScriptError::new(at, "there is more than one mutex", help))
            }
            Some(name) => {
                let known = mutexes.iter().map(|mutex| mutex.name.as_str());
                let index = mutexes.iter().position(|mutex| mutex.name == name);
                index.ok_or_else(|| unknown("mutex", name, at, known, ""))
            }
        }
    }

    fn thread(&self, name: &str, at: Pos) -> Compiled<usize> {
        let threads = &self.program.threads;
        let index = threads.iter().position(|thread| thread.name == name);
        index.ok_or_else(|| {
            let known = threads.iter().map(|thread| thread.name.as_str());
            unknown("thread", name, at, known, "{ ... }")
        })
    }
}

/// A register's value and one.
fn after(register: Register) -> Calc {
    Calc::Pair(Operator::Plus, Box::new(Calc::Register(register)), Box::new(Calc::Number(1)))
}

fn unknown<'a>(
    what: &str,
    name: &str,
    at: Pos,
    known: impl Iterator<Item = &'a str>,
    rest: &str,
) -> ScriptError {
    let known: Vec<&str> = known.collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("declare it at the top of the script: {what} {name} {rest}").trim_end().to_owned(),
    };
    let there = if known.is_empty() { String::new() } else { format!(" (there are: {})", known.join(", ")) };
    ScriptError::new(at, format!("there is no {what} `{name}`{there}"), help)
}

const _: () = assert!(THREADS_MAX as i32 * ITEMS_PER_THREAD < i32::MAX);
