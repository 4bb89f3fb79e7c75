//! The incident: what people say of it, what they are told, and what is left to be looked at.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::comms::{Affected, Audience, Broken, Data, Duty, Purpose};
use crate::domain::incident::Severity;

#[derive(Clone, Debug, Subcommand)]
pub enum IncidentCommand {
    /// Declare one: the clocks start
    Declare {
        /// What is the matter, in a few words
        title: String,
        #[arg(long, default_value = "sev1")]
        severity: Severity,
        /// It is practice, on a test estate: nobody outside is told
        #[arg(long)]
        drill: bool,
    },
    /// Every one that was declared, the newest first
    List,
    /// The open one, or the one that is named
    Show { incident: Option<String> },
    /// It is over
    Close {
        #[arg(long, default_value = "")]
        note: String,
        /// Why items of the checklist that are open stay so
        #[arg(long, default_value = "", value_name = "REASON")]
        despite: String,
        /// Tell everyone `resolved` with it; without, what is left open outside is listed
        #[arg(long)]
        tell: bool,
    },
    /// Correct its title: every message from now on has it
    Title { title: String },
    /// You work on it: the page needs nobody else
    Ack,
    /// Take command, or take communications
    Lead { duty: Duty },
    /// Tell the team who is to take over, with a brief of how things stand
    Handoff {
        duty: Duty,
        /// Who is to take it
        to: String,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say how bad it is: by its name with a reason, or by answering three questions
    Severity(SeverityArgs),
}

#[derive(Clone, Debug, Args)]
pub struct SeverityArgs {
    /// sev1, sev2, sev3 or sev4
    #[arg(required_unless_present_all = ["affected", "broken", "data"])]
    pub severity: Option<Severity>,
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Who is hit: none-yet, some, most
    #[arg(long, conflicts_with = "severity")]
    pub affected: Option<Affected>,
    /// What does not work: minor, standard-down, critical-slow, critical-down
    #[arg(long, conflicts_with = "severity")]
    pub broken: Option<Broken>,
    /// Is data lost, or about to be: safe, unsure, at-risk
    #[arg(long, conflicts_with = "severity")]
    pub data: Option<Data>,
}

#[derive(Clone, Debug, Args)]
pub struct NotifyArgs {
    /// investigating, identified, monitoring or resolved; the one that is due when left out
    pub status: Option<Purpose>,
    /// Put into what Mayday writes
    #[arg(long, default_value = "")]
    pub message: String,
    /// These only: internal, public, customers
    #[arg(long, value_name = "WHO")]
    pub audience: Vec<Audience>,
    /// Show every text, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not wait until every channel has answered
    #[arg(long)]
    pub no_wait: bool,
    /// Of this incident, which was closed recently: monitoring or resolved
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,
    /// Why `resolved` is told while items of the checklist are open
    #[arg(long, default_value = "", value_name = "REASON")]
    pub despite: String,
}

#[derive(Clone, Debug, Subcommand)]
pub enum OutboxCommand {
    /// Every message and its deliveries
    List,
    /// Try once more what failed; what is unknown needs a reason that says what you saw when you looked
    Retry {
        message: String,
        /// This channel only; all that have failed when left out
        #[arg(long)]
        channel: Option<String>,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Say what became of what is UNKNOWN, after you have looked where Mayday cannot: it has arrived, or it has not
    Settle {
        message: String,
        /// arrived: it counts as sent; not: it counts as failed, and can be tried again
        #[arg(value_parser = ["arrived", "not"])]
        fate: String,
        /// This channel only; all that are unknown when left out
        #[arg(long)]
        channel: Option<String>,
        /// What you saw, and where
        #[arg(long)]
        reason: String,
    },
    /// Take a message back before it goes out
    Recall { message: String },
}

#[derive(Clone, Debug, Args)]
pub struct ChecklistArgs {
    /// `list` when left out
    #[command(subcommand)]
    pub command: Option<ChecklistCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ChecklistCommand {
    /// Every item, as it was last looked at
    List,
    /// Let Mayday look again, at one item or at all
    Look { item: Option<String> },
    /// Say that an item is true; Mayday looks once more first
    Tick {
        item: String,
        /// What you saw; needed where what Mayday sees stands against it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Leave an item out
    Skip {
        item: String,
        #[arg(long)]
        reason: String,
    },
    /// Open an item again
    Reopen {
        item: String,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The incident; the open or the latest one when left out
    pub incident: Option<String>,
    /// In which form; Markdown when left out, JSON with `-o json`
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Write it to a file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown
    Md,
    /// One page that needs nothing else
    Html,
    /// For programs
    Json,
}
