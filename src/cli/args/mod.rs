//! The command line: one tree, which clap turns into parsing and help.

mod drill;
mod engine;
mod lab;
mod people;
mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit;

pub use drill::{DrillCommand, DrillLook, DrillRunArgs, GameArgs};
pub use engine::{
    CheckArgs, ConfigCommand, EngineArgs, EngineCommand, InitArgs, JournalCommand, ReadyArgs, StatusArgs, WatchArgs,
};
pub use lab::{BreakArgs, DemoArgs, HealArgs, InboxArgs, LabArgs, LabAt, LabCommand};
pub use people::{
    ChecklistArgs, ChecklistCommand, IncidentCommand, NotifyArgs, OutboxCommand, ReportArgs, ReportFormat, SeverityArgs,
};
pub use run::{FailoverCommand, HoldCommand, PlanCommand, RunArgs, StepCommand, WaybackCommand};

/// The terminal incident cockpit for disaster recovery.
#[derive(Debug, Parser)]
#[command(name = "mayday", version, about, after_help = exit::help(), disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    /// Without one, the cockpit opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}

/// What every subcommand takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The config file
    #[arg(long, global = true, env = "MAYDAY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the journal, the records and the socket are kept
    #[arg(long, global = true, env = "MAYDAY_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The socket of an engine (a forwarded one, for instance); none is started then
    #[arg(long, global = true, env = "MAYDAY_SOCKET", value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// Whose engine to believe besides your own and root's: the user that your team's engine runs as
    #[arg(long, global = true, env = "MAYDAY_ENGINE_USER", value_name = "USER")]
    pub engine_user: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// How the cockpit behaves.
#[derive(Clone, Debug, Default, Args)]
pub struct CockpitArgs {
    /// Look, and never be able to change anything
    #[arg(long)]
    pub read_only: bool,
    /// The colours; `mayday themes` lists them
    #[arg(long, env = "MAYDAY_THEME")]
    pub theme: Option<String>,
    /// Draw with plain ASCII characters
    #[arg(long)]
    pub ascii: bool,
    /// Let the mouse choose and scroll; the terminal's own selection then needs Shift
    #[arg(long)]
    pub mouse: bool,
    /// No animation: no history of latencies, no big digits
    #[arg(long, env = "MAYDAY_REDUCED_MOTION", value_parser = clap::builder::FalseyValueParser::new())]
    pub reduced_motion: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play an incident on the embedded lab
    Demo(DemoArgs),
    /// Run the embedded lab by itself, or look into the one that runs
    Lab(LabArgs),
    /// Run the engine, or stop the one that runs
    Engine(EngineArgs),
    /// Who leads and who follows, where several engines share a journal; the exit code is for cron
    Engines,
    /// How things stand
    Status(StatusArgs),
    /// The backups: how old the newest copies are, where they lie, what is wrong with them
    Backups,
    /// Would the plans work right now? Nothing is changed; the exit code is for cron
    Ready(ReadyArgs),
    /// Whom to call: who is on call, the escalation path, the cloud's support
    Contacts,
    /// Freshness, exposure and clocks for the team's own monitoring, in the Prometheus text format
    Metrics,
    /// The alerts of other monitoring that are not resolved; or take some in, from a file or from stdin (-)
    Alert {
        /// Alertmanager's webhook, or a CloudWatch alarm as SNS or EventBridge carries it, as JSON; `-` is stdin
        #[arg(value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// The plans: what they do, and what they would do now
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Run a plan
    #[command(subcommand)]
    Failover(FailoverCommand),
    /// After a failover: what is unprotected, and the plan that brings clients back
    #[command(subcommand)]
    Wayback(WaybackCommand),
    /// Decide on a step of the run under way
    #[command(subcommand)]
    Step(StepCommand),
    /// Keep anything new from starting, or release it
    #[command(subcommand)]
    Hold(HoldCommand),
    /// The remaining steps as commands for a shell
    ByHand {
        /// The plan
        name: String,
        /// All steps, also those that the run under way has done
        #[arg(long)]
        all: bool,
    },
    /// The journal: everything that is known
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Declare, look at and close incidents
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Rehearse the plan: drills, their schedule and their results
    #[command(subcommand)]
    Drill(DrillCommand),
    /// The post-incident review: of the open incident, or of the latest one, or of the one that is named
    Report(ReportArgs),
    /// The post-recovery checks of the open incident: what Mayday sees, and what people said
    Checklist(ChecklistArgs),
    /// Tell everyone how things stand
    Notify(NotifyArgs),
    /// What was said, and whether it has arrived
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Ask a few questions and write a config; each answer is looked at as it comes
    Init(InitArgs),
    /// The config: change it safely
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Whether the config and the plans are valid: every mistake at once
    Check(CheckArgs),
    /// Follow everything in plain lines, for a screen reader, a pipe or a log: a line a change, and the clocks
    Watch(WatchArgs),
    /// The keys of the cockpit, with the names that cockpit.toml gives other keys to
    Keys,
    /// The themes of the cockpit, and what is wrong with them
    Themes,
    /// Write a script that lets a shell complete commands
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page, in roff
    Man,
    /// What can be watched and failed over
    Kinds {
        /// A system, probe or step kind
        name: Option<String>,
    },
    /// JSON Schemas of the config, of plans, of cockpit.toml and of what `-o json` prints, and the OpenAPI document; the names when none
    /// is given
    Schema {
        /// Which one
        name: Option<String>,
    },
}

impl Command {
    /// Whether it prints one answer; what prints line after line says how it ended by its exit code alone.
    pub fn answers_once(&self) -> bool {
        let lines = matches!(self, Self::Watch(_) | Self::Metrics | Self::Engine(_) | Self::Man);
        !lines && !matches!(self, Self::Journal(JournalCommand::Export | JournalCommand::Tail { follow: true, .. }))
    }
}
