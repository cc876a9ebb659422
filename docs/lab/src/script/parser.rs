//! From tokens to a script. The grammar is in docs/labs/language.md.

use super::ast::{
    Actor, Declaration, Expr, ExprKind, Kind, Memory, MutexKind, Operator, Script, Shared, Statement,
};
use super::error::{Pos, ScriptError, nearest};
use super::lexer::{Token, tokens};

type Parsed<T> = Result<T, ScriptError>;

const DECLARATIONS: &[&str] =
    &["ring", "memory", "shared", "semaphore", "mutex", "thread", "process", "service"];
const STATEMENTS: &[&str] = &[
    "wait",
    "post",
    "lock",
    "unlock",
    "consistent",
    "claim",
    "put",
    "take",
    "fill",
    "drain",
    "sleep",
    "wake",
    "fence",
    "nap",
    "await",
    "repeat",
    "while",
    "loop",
    "if",
    "break",
];
/// Words that stand for something in expressions, so that no variable may have them as its name.
const RESERVED: &[&str] =
    &["me", "ownerdead", "dead", "value", "head", "tail", "capacity", "and", "or", "not"];
/// Threads of one kind that a script may start.
const COPIES_MAX: u32 = 8;
const CAPACITY_MAX: u32 = 16;
/// Blocks and brackets within one another: more is a slip, and would only exhaust the stack.
const DEPTH_MAX: u32 = 64;

pub(crate) fn parse(source: &str) -> Parsed<Script> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0 };
    parser.script()
}

struct Parser {
    tokens: Vec<(Token, Pos)>,
    at: usize,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn pos(&self) -> Pos {
        self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        // The end stays the end.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    fn accept(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        if there {
            self.next();
        }
        there
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        if there {
            self.next();
        }
        there
    }

    fn wrong<T>(&self, wanted: &str, help: impl Into<String>) -> Parsed<T> {
        let what = format!("expected {wanted}, found {}", self.peek().describe());
        Err(ScriptError::new(self.pos(), what, help))
    }

    fn expect(&mut self, sign: &'static str, help: &str) -> Parsed<()> {
        if self.accept(sign) { Ok(()) } else { self.wrong(&format!("`{sign}`"), help) }
    }

    fn skip_stops(&mut self) {
        while *self.peek() == Token::Stop {
            self.next();
        }
    }

    /// Goes one block or bracket deeper for as long as `inside` takes.
    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            return Err(ScriptError::new(
                self.pos(),
                format!("more than {DEPTH_MAX} blocks or brackets within one another"),
                "write it flatter",
            ));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn word(&mut self, what: &str, help: &str) -> Parsed<String> {
        match self.peek() {
            Token::Word(_) => match self.next() {
                Token::Word(word) => Ok(word),
                _ => unreachable!("just seen"),
            },
            _ => self.wrong(what, help),
        }
    }

    /// A name that a script gives to something.
    fn new_name(&mut self, what: &str) -> Parsed<(String, Pos)> {
        let at = self.pos();
        let name = self.word(what, "a name begins with a letter and goes on with letters, digits and _")?;
        let taken = [DECLARATIONS, STATEMENTS, RESERVED, &["else"]].concat();
        if taken.contains(&name.as_str()) {
            let help = format!("choose another name, such as `my_{name}`");
            return Err(ScriptError::new(at, format!("`{name}` is a word of the language"), help));
        }
        Ok((name, at))
    }

    fn number(&mut self, what: &str, range: std::ops::RangeInclusive<u32>) -> Parsed<u32> {
        match *self.peek() {
            Token::Number(number) if u32::try_from(number).is_ok_and(|n| range.contains(&n)) => {
                self.next();
                Ok(number as u32)
            }
            _ => self.wrong(what, format!("write a number from {} to {}", range.start(), range.end())),
        }
    }

    fn script(&mut self) -> Parsed<Script> {
        let mut script = Script { capacity: 4, ..Script::default() };
        loop {
            self.skip_stops();
            let at = self.pos();
            let word = match self.next() {
                Token::End if script.actors.is_empty() => {
                    let help = "a script needs a thread: thread producer { put }";
                    return Err(ScriptError::new(at, "there is no thread", help));
                }
                Token::End => return Ok(script),
                Token::Word(word) => word,
                other => {
                    let help = format!("at the top of a script: {}", DECLARATIONS.join(", "));
                    let what = format!("expected a declaration, found {}", other.describe());
                    return Err(ScriptError::new(at, what, help));
                }
            };
            match word.as_str() {
                "ring" => script.capacity = self.number("the capacity of the ring", 1..=CAPACITY_MAX)?,
                "memory" => script.memory = self.memory()?,
                "shared" | "semaphore" | "mutex" => {
                    let declared = self.declaration(&word)?;
                    self.unused(&script, &declared.name, declared.at)?;
                    script.declarations.push(declared);
                }
                "thread" | "process" | "service" => {
                    let actor = self.actor(word == "service")?;
                    self.unused(&script, &actor.name, actor.at)?;
                    script.actors.push(actor);
                }
                _ => {
                    let help = match nearest(&word, DECLARATIONS.iter().copied()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None if STATEMENTS.contains(&word.as_str()) => {
                            format!(
                                "`{word}` is something that a thread does: put it into thread NAME {{ ... }}"
                            )
                        }
                        None => format!("at the top of a script: {}", DECLARATIONS.join(", ")),
                    };
                    return Err(ScriptError::new(at, format!("`{word}` is no declaration"), help));
                }
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads as part of the grammar")]
    fn unused(&self, script: &Script, name: &str, at: Pos) -> Parsed<()> {
        let first = script.declarations.iter().map(|d| (&d.name, d.at));
        let first = first.chain(script.actors.iter().map(|a| (&a.name, a.at))).find(|(n, _)| *n == name);
        match first {
            None => Ok(()),
            Some((_, first)) => Err(ScriptError::new(
                at,
                format!("`{name}` is declared twice"),
                format!("it is declared in line {} already: give one of them another name", first.line),
            )),
        }
    }

    fn memory(&mut self) -> Parsed<Memory> {
        if self.accept_word("sequential") {
            Ok(Memory::Sequential)
        } else if self.accept_word("buffered") {
            Ok(Memory::Buffered)
        } else {
            self.wrong(
                "`sequential` or `buffered`",
                "memory buffered gives every thread a store buffer, as x86 has",
            )
        }
    }

    fn declaration(&mut self, word: &str) -> Parsed<Declaration> {
        let (name, at) = self.new_name("a name")?;
        let kind = if word == "mutex" {
            let kind = if self.accept_word("robust") {
                MutexKind::Robust
            } else if self.accept_word("inherit") {
                MutexKind::Inherit
            } else {
                MutexKind::Plain
            };
            if self.is_sign("=") {
                return self.wrong("the end of the statement", "a mutex starts unlocked and has no value");
            }
            Shared::Mutex(kind)
        } else {
            self.expect("=", &format!("give it a first value: {word} {name} = 0"))?;
            if self.is_sign("?") {
                let help = "this is yours to decide: replace the ? with a number";
                return Err(ScriptError::new(self.pos(), format!("`{name}` has no first value yet"), help));
            }
            let value = self.expr()?;
            if word == "shared" { Shared::Variable(value) } else { Shared::Semaphore(value) }
        };
        Ok(Declaration { name, at, kind })
    }

    fn actor(&mut self, service: bool) -> Parsed<Actor> {
        let (name, at) = self.new_name("the thread's name")?;
        let copies = if self.accept("*") { self.number("how many of them", 1..=COPIES_MAX)? } else { 1 };
        let priority = if self.accept_word("priority") { self.number("a priority", 1..=9)? as u8 } else { 0 };
        let body = self.block()?;
        Ok(Actor { name, at, copies, service, priority, body })
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        let opened = self.pos();
        // The brace may stand on the next line, as C and Java programmers put it.
        let before = self.at;
        self.skip_stops();
        if !self.is_sign("{") {
            self.at = before;
        }
        self.expect("{", "a block begins with { and ends with }")?;
        self.deeper(|parser| {
            let mut body = Vec::new();
            loop {
                parser.skip_stops();
                if parser.accept("}") {
                    return Ok(body);
                }
                if *parser.peek() == Token::End {
                    let help =
                        format!("the block that begins in line {} is not closed: add a }}", opened.line);
                    return parser.wrong("`}`", help);
                }
                body.push(parser.statement()?);
                if !parser.is_sign("}") && *parser.peek() != Token::Stop {
                    return parser
                        .wrong("the end of the statement", "put a ; or a new line between statements");
                }
            }
        })
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let at = self.pos();
        let word = self.word("a statement", &format!("a thread can: {}", STATEMENTS.join(", ")))?;
        let kind = match word.as_str() {
            "wait" => Kind::Wait(self.word("a semaphore", "wait for which? wait empty")?),
            "post" => Kind::Post(self.word("a semaphore", "post which? post full")?),
            "lock" => Kind::Lock(self.optional_name()),
            "unlock" => Kind::Unlock(self.optional_name()),
            "consistent" => Kind::Consistent(self.optional_name()),
            "claim" => Kind::Claim(self.word("a shared variable", "claim which? claim owner")?),
            "put" => Kind::Put,
            "take" => Kind::Take,
            "fill" => Kind::Fill(self.expr()?),
            "drain" => Kind::Drain(self.expr()?),
            "sleep" => Kind::Sleep,
            "wake" => Kind::Wake(self.word("a thread", "wake whom? wake consumer")?),
            "fence" => Kind::Fence,
            "nap" => Kind::Nap(self.expr()?),
            "await" => {
                if !self.accept_word("death") {
                    return self.wrong("`death`", "the statement is: await death");
                }
                Kind::AwaitDeath
            }
            "repeat" => Kind::Repeat(self.expr()?, self.block()?),
            "while" => Kind::While(self.expr()?, self.block()?),
            "loop" => Kind::Loop(self.block()?),
            "if" => self.conditional()?,
            "break" => Kind::Break,
            "else" => {
                let help = "an else follows the } of its if: if x == 0 { ... } else { ... }";
                return Err(ScriptError::new(at, "this else has no if", help));
            }
            _ if self.accept("=") => Kind::Assign(word, self.expr()?),
            _ => {
                let help = match nearest(&word, STATEMENTS.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("a thread can: {}; or NAME = VALUE", STATEMENTS.join(", ")),
                };
                return Err(ScriptError::new(at, format!("`{word}` is nothing that a thread can do"), help));
            }
        };
        Ok(Statement { at, kind })
    }

    fn conditional(&mut self) -> Parsed<Kind> {
        let condition = self.expr()?;
        let then = self.block()?;
        let before = self.at;
        self.skip_stops();
        if !self.accept_word("else") {
            self.at = before;
            return Ok(Kind::If(condition, then, Vec::new()));
        }
        let otherwise = if self.is_word("if") {
            let at = self.pos();
            self.next();
            vec![Statement { at, kind: self.deeper(Self::conditional)? }]
        } else {
            self.block()?
        };
        Ok(Kind::If(condition, then, otherwise))
    }

    fn optional_name(&mut self) -> Option<String> {
        let Token::Word(name) = self.peek() else { return None };
        let name = name.clone();
        self.next();
        Some(name)
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| parser.binary(0))
    }

    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        const LEVELS: &[&[(&str, Operator)]] = &[
            &[("or", Operator::Or)],
            &[("and", Operator::And)],
            &[
                ("==", Operator::Equal),
                ("!=", Operator::Unequal),
                ("<=", Operator::AtMost),
                (">=", Operator::AtLeast),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ],
            &[("+", Operator::Plus), ("-", Operator::Minus)],
            &[("*", Operator::Times), ("/", Operator::Over), ("%", Operator::Rest)],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let at = self.pos();
            let Some((_, operator)) =
                operators.iter().find(|(sign, _)| self.is_sign(sign) || self.is_word(sign))
            else {
                return Ok(left);
            };
            self.next();
            let right = self.binary(level + 1)?;
            left = Expr { at, kind: ExprKind::Pair(*operator, Box::new(left), Box::new(right)) };
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let at = self.pos();
        if self.accept("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expr { at, kind: ExprKind::Minus(Box::new(inner)) });
        }
        if self.accept_word("not") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expr { at, kind: ExprKind::Not(Box::new(inner)) });
        }
        if self.accept("(") {
            let inner = self.expr()?;
            self.expect(")", "close the bracket")?;
            return Ok(inner);
        }
        match self.peek() {
            Token::Number(number) => {
                let kind = ExprKind::Number(*number);
                self.next();
                Ok(Expr { at, kind })
            }
            Token::Word(_) => self.named(at),
            _ => self.wrong("a value", "a number, a name, or a calculation with them"),
        }
    }

    fn named(&mut self, at: Pos) -> Parsed<Expr> {
        let word = self.word("a name", "a number or a name")?;
        let kind = match word.as_str() {
            "me" => ExprKind::Me,
            "ownerdead" => ExprKind::OwnerDead,
            "dead" | "value" => {
                self.expect("(", &format!("write {word}(...)"))?;
                let kind = if word == "dead" {
                    ExprKind::Dead(Box::new(self.expr()?))
                } else {
                    ExprKind::Value(self.word("a semaphore", "the value of which semaphore? value(empty)")?)
                };
                self.expect(")", "close the bracket")?;
                kind
            }
            "ring" => {
                let help = "a cell is written with `fill INDEX` and read with `drain INDEX`";
                return Err(ScriptError::new(at, "the cells of the ring are not variables", help));
            }
            _ => ExprKind::Name(word),
        };
        Ok(Expr { at, kind })
    }
}
