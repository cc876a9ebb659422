//! The interpreter: a thread, and one step of it.

use crate::script::{Calc, Op, Program, Register};

use super::world::{Fault, Locked, World};

/// Invisible instructions in a row before a thread counts as running away.
const INVISIBLE_MAX: u32 = 10_000;

/// A thread between two steps. It always stands at a visible instruction or at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub(crate) pc: u16,
    registers: Box<[i32]>,
    owner_died: bool,
    /// Items that it has put.
    pub(crate) put: u16,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// The instruction was done.
    Done,
    /// It cannot be done now; nothing has changed.
    Blocked,
    /// The thread has ended; there is nothing to do.
    Ended,
}

impl Thread {
    /// A thread at its first visible instruction.
    ///
    /// # Errors
    /// What it did wrong on the way there.
    pub fn new(program: &Program, who: usize) -> Result<Self, Fault> {
        let registers = vec![0; program.code(who).registers].into_boxed_slice();
        let mut thread = Self { pc: 0, registers, owner_died: false, put: 0 };
        thread.run_on(program, who)?;
        Ok(thread)
    }

    /// The instruction that comes next.
    #[must_use]
    pub fn at(&self) -> usize {
        self.pc as usize
    }

    /// The value of one of its own variables.
    #[must_use]
    pub fn register(&self, register: Register) -> i32 {
        self.registers[register as usize]
    }

    /// How many items it has put.
    #[must_use]
    pub fn items_put(&self) -> usize {
        self.put as usize
    }

    pub(crate) fn has_ended(&self, program: &Program, who: usize) -> bool {
        program.code(who).instructions[self.at()].op == Op::End
    }

    /// Does the next instruction, and runs on through what nobody else can see.
    ///
    /// # Errors
    /// What the thread did wrong. Nothing more can be done with it then.
    pub fn step<W: World>(&mut self, program: &Program, who: usize, world: &mut W) -> Result<Stepped, Fault> {
        let op = &program.code(who).instructions[self.at()].op;
        match op {
            Op::End => return Ok(Stepped::Ended),
            Op::Load(to, cell) => self.registers[*to as usize] = world.load(who, *cell),
            Op::Store(cell, value) => world.store(who, *cell, self.calculate(who, value)?),
            Op::Value(to, semaphore) => self.registers[*to as usize] = world.value(who, *semaphore),
            Op::Dead(to, number) => {
                let number = self.calculate(who, number)?;
                self.registers[*to as usize] = i32::from(world.is_dead(who, number));
            }
            Op::Wait(semaphore) => {
                if !world.wait(who, *semaphore) {
                    return Ok(Stepped::Blocked);
                }
            }
            Op::Post(semaphore) => world.post(who, *semaphore),
            Op::Lock(mutex) => match world.lock(who, *mutex)? {
                Locked::Busy => return Ok(Stepped::Blocked),
                Locked::Taken => self.owner_died = false,
                Locked::OwnerDied => self.owner_died = true,
                Locked::Unrecoverable => {
                    return Err(Fault::Unrecoverable { mutex: program.mutexes[*mutex].name.clone() });
                }
            },
            Op::Unlock(mutex) => world.unlock(who, *mutex)?,
            Op::Consistent(mutex) => world.consistent(who, *mutex)?,
            Op::Claim(cell) => {
                if !world.claim(who, *cell) {
                    return Ok(Stepped::Blocked);
                }
            }
            Op::Fill(index) => {
                if i32::from(self.put) >= crate::script::ITEMS_PER_THREAD {
                    return Err(Fault::TooMany);
                }
                let cell = program.ring_cell(self.calculate(who, index)?);
                world.fill(who, cell, crate::script::item(who, self.put as usize));
                self.put += 1;
            }
            Op::Drain(index) => {
                let cell = program.ring_cell(self.calculate(who, index)?);
                world.drain(who, cell)?;
            }
            Op::Sleep => world.sleep(who),
            Op::Asleep => {
                if world.asleep(who) {
                    return Ok(Stepped::Blocked);
                }
            }
            Op::Wake(whom) => world.wake(who, *whom),
            Op::Fence => world.fence(who),
            Op::Nap(length) => {
                let length = self.calculate(who, length)?;
                world.nap(who, u32::try_from(length).map_err(|_| Fault::Nap { length })?);
            }
            Op::AwaitDeath => {
                if !world.any_dead(who) {
                    return Ok(Stepped::Blocked);
                }
            }
            Op::Set(..) | Op::Clear(..) | Op::Jump(_) | Op::Unless(..) => {
                unreachable!("a thread never rests at an invisible instruction")
            }
        }
        self.pc += 1;
        self.run_on(program, who)?;
        Ok(Stepped::Done)
    }

    /// Runs through invisible instructions.
    fn run_on(&mut self, program: &Program, who: usize) -> Result<(), Fault> {
        for _ in 0..INVISIBLE_MAX {
            match &program.code(who).instructions[self.at()].op {
                Op::Set(to, value) => {
                    self.registers[*to as usize] = self.calculate(who, value)?;
                    self.pc += 1;
                }
                Op::Clear(first, last) => {
                    self.registers[*first as usize..*last as usize].fill(0);
                    self.pc += 1;
                }
                Op::Jump(to) => self.pc = *to as u16,
                Op::Unless(test, to) => {
                    self.pc = if self.calculate(who, test)? == 0 { *to as u16 } else { self.pc + 1 };
                }
                _ => return Ok(()),
            }
        }
        Err(Fault::Runaway)
    }

    fn calculate(&self, who: usize, calc: &Calc) -> Result<i32, Fault> {
        Ok(match calc {
            Calc::Number(number) => *number,
            Calc::Register(register) => self.register(*register),
            Calc::Me => who as i32 + 1,
            Calc::OwnerDead => i32::from(self.owner_died),
            Calc::Minus(inner) => self.calculate(who, inner)?.wrapping_neg(),
            Calc::Not(inner) => i32::from(self.calculate(who, inner)? == 0),
            Calc::Pair(operator, left, right) => {
                let (left, right) = (self.calculate(who, left)?, self.calculate(who, right)?);
                operator.apply(left, right).ok_or(Fault::Division)?
            }
        })
    }
}
