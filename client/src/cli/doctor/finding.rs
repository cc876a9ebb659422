//! A finding: what is wrong with what, how bad that is, and what helps.

use serde::Serialize;

use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::push_json;
use crate::cli::ls::units::plural;

/// How bad a finding is. Only warnings and errors make the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Looked at, and nothing is wrong.
    Ok,
    /// Worth knowing, and no fault: or one of somebody else's.
    Note,
    /// Something is left over or missing, and others can live with it.
    Warning,
    /// Somebody waits for it, or cannot use it.
    Error,
}

impl Severity {
    fn word(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("ok", Style::Good),
            Self::Note => ("note", Style::Dim),
            Self::Warning => ("warning", Style::Warn),
            Self::Error => ("error", Style::Bad),
        }
    }
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    /// Nothing needs to be done.
    Nothing,
    /// `--fix` removes the names, which are proven to be nobody's.
    Remove,
    /// `--fix` frees what dead producers hold in a ring whose owner lives.
    Reap,
    /// `--fix` posts the semaphores: `ready` this often more than the announcements ask for.
    Wake(u32),
    /// Somebody has to do this.
    Advice(String),
}

impl Cure {
    pub(super) fn is_done_by_fix(&self) -> bool {
        matches!(self, Self::Remove | Self::Reap | Self::Wake(_))
    }

    /// What `--fix` would do, or what somebody has to.
    fn proposal(&self) -> Option<String> {
        Some(match self {
            Self::Nothing => return None,
            Self::Remove => "remove it from /dev/shm".to_owned(),
            Self::Reap => "free what its dead producers hold".to_owned(),
            Self::Wake(_) => "post its semaphores once more".to_owned(),
            Self::Advice(advice) => advice.clone(),
        })
    }
}

/// What was done about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    None,
    /// As `Fixed`, with `--fix`.
    WouldFix,
    Fixed,
    Failed,
}

/// One thing that was looked at, and what was found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// Which check found it: a word for programs.
    pub(super) check: &'static str,
    /// A ring's name, a file, or a part of the system.
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) pid: Option<u32>,
    pub(super) cure: Cure,
    pub(super) action: Action,
    /// Why it could not be put right.
    pub(super) failure: Option<String>,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        check: &'static str,
        subject: impl ToString,
        text: impl Into<String>,
        cure: Cure,
    ) -> Self {
        let action = if cure.is_done_by_fix() { Action::WouldFix } else { Action::None };
        Self {
            severity,
            check,
            subject: subject.to_string(),
            text: text.into(),
            pid: None,
            cure,
            action,
            failure: None,
        }
    }

    pub(super) fn with_pid(mut self, pid: Option<u32>) -> Self {
        self.pid = pid;
        self
    }

    /// Whether this is a fault that is still there.
    pub(super) fn is_left(&self) -> bool {
        self.severity >= Severity::Warning && self.action != Action::Fixed
    }
}

/// How many of each there are, for the last line.
struct Tally {
    errors: usize,
    warnings: usize,
    notes: usize,
    fixed: usize,
    left: usize,
    would_fix: usize,
}

impl Tally {
    fn of(findings: &[Finding]) -> Self {
        let count = |wanted: &dyn Fn(&Finding) -> bool| findings.iter().filter(|found| wanted(found)).count();
        Self {
            errors: count(&|found| found.severity == Severity::Error),
            warnings: count(&|found| found.severity == Severity::Warning),
            notes: count(&|found| found.severity == Severity::Note),
            fixed: count(&|found| found.action == Action::Fixed),
            left: count(&Finding::is_left),
            would_fix: count(&|found| found.action == Action::WouldFix),
        }
    }
}

/// The findings for people: what is well line by line, then a paragraph for each of the others, the worst last.
pub(super) fn text(findings: &[Finding], paint: &Paint) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|found| found.severity);
    let mut text = String::new();
    for found in sorted {
        if found.severity > Severity::Ok && !text.is_empty() {
            text.push('\n');
        }
        let (word, style) = found.severity.word();
        let word = paint.apply(style, &format!("{word:<7}"));
        text.push_str(&format!("{word}  {}: {}\n", found.subject, found.text));
        let Some(proposal) = found.cure.proposal() else { continue };
        let line = match (&found.action, &found.failure) {
            (Action::Fixed, _) => paint.apply(Style::Good, &format!("fixed: {proposal}")),
            (Action::Failed, why) => {
                let why = why.as_deref().unwrap_or("it is still there");
                paint.apply(Style::Bad, &format!("not fixed ({proposal}): {why}"))
            }
            (Action::WouldFix, _) => format!("--fix would {proposal}"),
            (Action::None, _) => format!("to do: {proposal}"),
        };
        text.push_str(&format!("         {line}\n"));
    }
    let tally = Tally::of(findings);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&match (tally.left, tally.fixed) {
        (0, 0) => "nothing is wrong\n".to_owned(),
        (0, fixed) => format!("{} fixed, nothing is wrong now\n", plural(fixed, "finding")),
        (left, 0) if tally.would_fix > 0 => {
            format!("{}; `halyard doctor --fix` can put right {}\n", plural(left, "finding"), tally.would_fix)
        }
        (left, 0) => format!("{}, and none that --fix can put right\n", plural(left, "finding")),
        (left, fixed) => format!("{} fixed, {left} left\n", plural(fixed, "finding")),
    });
    text
}

#[derive(Serialize)]
struct FindingJson<'a> {
    v: u32,
    r#type: &'static str,
    severity: Severity,
    check: &'a str,
    subject: &'a str,
    text: &'a str,
    pid: Option<u32>,
    /// What `--fix` would do or did, or what somebody has to.
    remedy: Option<String>,
    action: &'a Action,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct SummaryJson {
    v: u32,
    r#type: &'static str,
    fix: bool,
    errors: usize,
    warnings: usize,
    notes: usize,
    fixed: usize,
    left: usize,
}

/// The findings for programs.
pub(super) fn json(findings: &[Finding], fix: bool) -> String {
    let mut text = String::new();
    for found in findings {
        let line = FindingJson {
            v: 1,
            r#type: "finding",
            severity: found.severity,
            check: found.check,
            subject: &found.subject,
            text: &found.text,
            pid: found.pid,
            remedy: found.cure.proposal(),
            action: &found.action,
            error: found.failure.as_deref(),
        };
        push_json(&mut text, &line);
    }
    let Tally { errors, warnings, notes, fixed, left, .. } = Tally::of(findings);
    push_json(&mut text, &SummaryJson { v: 1, r#type: "summary", fix, errors, warnings, notes, fixed, left });
    text
}
