//! What is said to and asked of the engine, its config and its journal.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// How often the clocks are told while an incident is open, in seconds; 0 for never
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub clocks: u64,
}

#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Where; the usual place when left out
    pub path: Option<PathBuf>,
    /// Ask nothing: a short config to put one's own into. Also when standard input is no terminal
    #[arg(long, conflicts_with = "example")]
    pub minimal: bool,
    /// Ask nothing: the whole estate of the GenNet platform, commented
    #[arg(long)]
    pub example: bool,
    /// Replace the file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Open it in $VISUAL or $EDITOR; what is not valid is not taken, and every mistake is told
    Edit,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Also why each built-in plan that does not fit does not
    #[arg(long, short)]
    pub verbose: bool,
    /// Also try each address, credential and permission of the config once, from this host; nothing is changed. Exit code 9 when one does
    /// not work, or that is not known
    #[arg(long)]
    pub connect: bool,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub struct StatusArgs {
    /// Also every probe, with what it saw last and when
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ReadyArgs {
    /// This plan only
    pub name: Option<String>,
    /// Show also what is as it should be
    #[arg(long)]
    pub all: bool,
    /// Take this region away first: refuse every way that leads into it, and list what breaks
    #[arg(long, value_name = "REGION")]
    pub without: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    #[command(subcommand)]
    pub command: Option<EngineCommand>,
    /// End when standard input is closed: for an engine that belongs to the process that started it
    #[arg(long)]
    pub until_stdin_closes: bool,
    /// Let the members of this group attach, too: the socket gets it, and mode 0660
    #[arg(long, env = "MAYDAY_SOCKET_GROUP", value_name = "GROUP")]
    pub socket_group: Option<String>,
    /// Serve the metrics on this loopback address too, at /metrics
    #[arg(long, env = "MAYDAY_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<std::net::SocketAddr>,
    /// Another name that the metrics may be asked for by, besides localhost and loopback addresses; may be repeated
    #[arg(long, value_name = "NAME")]
    pub metrics_host: Vec<String>,
    /// What the other engines call this one, where several share a journal; the host's name when left out
    #[arg(long, env = "MAYDAY_ENGINE_NAME", value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum EngineCommand {
    /// End the engine in order; a run in flight is continued by the next one
    Stop,
    /// Take the config that is on disk, if it is valid and no run is under way; nothing is lost by it
    Reload,
}

#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// The latest records
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
    /// Recompute the chain, and hold it against its anchor: whether anything was altered, cut off or replaced
    ///
    /// Exit code 0: it is whole. 8: it was altered or cut, or never had the head that was noted. It cannot tell whether somebody wrote
    /// both journal and anchor again: for that, note the head outside (it is on every message, review and drill) and give it here.
    Verify {
        /// A head that was noted outside, or its first 8 digits or more: the journal must have come by it
        #[arg(long)]
        head: Option<String>,
    },
    /// Go on with a journal that does not fit its anchor: without a phrase, what is wrong and what to type
    Accept {
        /// The phrase that names what is lost
        phrase: Option<String>,
    },
    /// Every record, a JSON object a line
    Export,
    /// Copy a journal to another place, as it was written: heads that were noted are found there, too
    ///
    /// A place is `own` (the file in the state directory), `shared` (what [journal] of the config names), or the state directory of another
    /// engine. No engine may be running on either. A copy that broke off goes on where it ended.
    Copy {
        /// own, shared, or a state directory
        from: String,
        /// own, shared, or a state directory
        to: String,
    },
}
