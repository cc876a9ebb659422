//! Expressions: those that are known before the start, and those that read.

use super::statement::Compiler;
use super::{Compiled, Constants};
use crate::script::ast::{Expr, ExprKind, Operator};
use crate::script::error::{Pos, ScriptError, nearest};
use crate::script::program::{Calc, Op};

/// The value of an expression that has numbers and given names alone.
pub(super) fn constant(expr: &Expr, constants: &Constants) -> Compiled<i32> {
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

impl Compiler<'_> {
    /// Emits the reads that an expression needs, left to right, each an instruction, and gives the calculation.
    pub(super) fn expr(&mut self, expr: &Expr) -> Compiled<Calc> {
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
}
