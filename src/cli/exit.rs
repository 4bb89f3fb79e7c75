//! Exit codes: one table for the program, its help and the README.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::api::protocol::{ApiError, ErrorCode};

/// What a run of the program came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok,
    Failed,
    Usage,
    WaitsForHuman,
    ObjectiveMissed,
    Refused,
    Unreachable,
    Config,
    Journal,
    NotReady,
    OpenItems,
}

/// Each with its number and what it means.
pub const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Ok, 0, "done"),
    (Exit::Failed, 1, "failed, or the run was abandoned"),
    (Exit::Usage, 2, "the command line makes no sense"),
    (Exit::WaitsForHuman, 3, "the run waits for a human; it goes on where it is"),
    (Exit::ObjectiveMissed, 4, "done, but an RTO or RPO was missed or could not be told"),
    (Exit::Refused, 5, "refused by a safety rule or by the state of things; nothing happened"),
    (Exit::Unreachable, 6, "no engine answers, and none could be started"),
    (Exit::Config, 7, "the config or a plan is wrong"),
    (Exit::Journal, 8, "the journal cannot be written, was altered or cut, or is not the one that was noted"),
    (
        Exit::NotReady,
        9,
        "a plan would not work now, a backup is too old or incomplete, a drill is due or none is configured, something is unprotected, an address, credential or permission of the config does not work (`check --connect`), fewer engines are there than are meant to be or none leads (`engines`), or that is not known",
    ),
    (Exit::OpenItems, 10, "items of the checklist are open"),
];

impl Exit {
    /// What an exit code of the program's says.
    pub fn of(code: i32) -> Option<Self> {
        TABLE.iter().find(|(_, number, _)| i32::from(*number) == code).map(|(exit, _, _)| *exit)
    }

    pub fn code(self) -> u8 {
        self.row().0
    }

    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (u8, &'static str) {
        let row = TABLE.iter().find(|(exit, _, _)| *exit == self);
        row.map_or((1, "failed"), |(_, code, meaning)| (*code, *meaning))
    }
}

impl From<&ApiError> for Exit {
    fn from(error: &ApiError) -> Self {
        match error.code {
            ErrorCode::Refused | ErrorCode::Forbidden => Exit::Refused,
            ErrorCode::Journal => Exit::Journal,
            ErrorCode::Unreachable | ErrorCode::Stopping => Exit::Unreachable,
            ErrorCode::BadRequest => Exit::Usage,
            ErrorCode::Config => Exit::Config,
        }
    }
}

/// A failure, for programs.
pub fn failure(exit: Exit, text: &str) -> Value {
    json!({ "error": text, "exit": exit.code(), "meaning": exit.meaning() })
}

/// For `--help`.
pub fn help() -> String {
    TABLE.iter().fold("Exit codes:".to_owned(), |mut text, (_, code, meaning)| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {code}  {meaning}");
        text
    })
}
