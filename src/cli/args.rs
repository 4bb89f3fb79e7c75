//! The command line: one tree, which clap turns into parsing and help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit;
use crate::domain::comms::{Affected, Audience, Broken, Data, Duty, Purpose};
use crate::domain::incident::Severity;
use crate::domain::run::Mode;

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
    /// Draw nothing that moves without saying more
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
    /// What was said, and how it fares
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Ask a few questions and write a config; each answer is looked at as it comes
    Init(InitArgs),
    /// The config: change it safely
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Whether the config and the plans are sound: every mistake at once
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
    /// Open it in $VISUAL or $EDITOR; what is not sound is not taken, and every mistake is told
    Edit,
}

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// What goes wrong; region-dark when left out
    #[arg(long)]
    pub scenario: Option<String>,
    /// How many times faster the lab lives
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// List the scenarios
    #[arg(long)]
    pub list: bool,
    /// No cockpit: when the scenario calls for a failover, declare, run the plan with every gate that it allows confirmed, and judge;
    /// else say how things stand when all has happened
    #[arg(long)]
    pub headless: bool,
    /// Where lab.json is written, so that `mayday lab break --dir DIR` reaches this lab from another terminal
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// End the demo that goes on in the background; asks whether its folder is to be kept
    #[arg(long, conflicts_with_all = ["headless", "list", "scenario", "dir"])]
    pub end: bool,
    /// With --end: keep its folder (journal, review, config), and ask nothing
    #[arg(long, requires = "end")]
    pub keep: bool,
    /// With --end: delete its folder, and ask nothing
    #[arg(long, requires = "end", conflicts_with = "keep")]
    pub delete: bool,
    /// Be what goes on in the background, in this folder
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub host: Option<PathBuf>,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}

impl DemoArgs {
    /// The scenario's name.
    pub fn scenario(&self) -> &str {
        self.scenario.as_deref().unwrap_or(super::DEFAULT_SCENARIO)
    }
}

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct LabArgs {
    #[command(subcommand)]
    pub command: Option<LabCommand>,
    /// Where lab.json, the kubeconfig, the config and the environment files are written
    #[arg(long, default_value = "mayday-lab", value_name = "DIR")]
    pub dir: PathBuf,
    /// How many times faster the lab lives
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Let this go wrong
    #[arg(long)]
    pub scenario: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum LabCommand {
    /// What the lab's Slack, status page, PagerDuty, mail relay and webhooks were told, the newest last
    Inbox(InboxArgs),
    /// Break something by hand, or list what can be broken and how
    Break(BreakArgs),
    /// Mend one place, or everything
    Heal(HealArgs),
    /// What is broken now
    Faults(LabAt),
}

#[derive(Clone, Debug, Args)]
pub struct InboxArgs {
    /// One service only: slack, statuspage, pagerduty, smtp, webhook
    #[arg(long)]
    pub service: Option<String>,
    #[command(flatten)]
    pub at: LabAt,
}

#[derive(Clone, Debug, Args)]
pub struct BreakArgs {
    /// What: `rds@us-east-1`, `redis-1@us-east-1`, `us-east-1a`, `*@us-east-1`, `route53`
    #[arg(required_unless_present = "list")]
    pub place: Option<String>,
    /// How: dark, refused, slow, denied, …
    #[arg(required_unless_present = "list")]
    pub condition: Option<String>,
    /// How slow: `900ms`
    #[arg(long, value_name = "SPAN")]
    pub by: Option<String>,
    /// List the places and the conditions
    #[arg(long, conflicts_with_all = ["place", "condition", "by"])]
    pub list: bool,
    #[command(flatten)]
    pub at: LabAt,
}

#[derive(Clone, Debug, Args)]
pub struct HealArgs {
    /// Everything when left out
    pub place: Option<String>,
    #[command(flatten)]
    pub at: LabAt,
}

/// Which lab is meant.
#[derive(Clone, Debug, Args)]
pub struct LabAt {
    /// The directory of the lab
    #[arg(long, default_value = "mayday-lab", value_name = "DIR")]
    pub dir: PathBuf,
    /// The lab's control page, when there is no directory of it here
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    pub control: Option<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    let wrong = || "a speed is a number from 0.1 to 1000".to_owned();
    let speed: f64 = text.parse().map_err(|_| wrong())?;
    (0.1..=1000.0).contains(&speed).then_some(speed).ok_or_else(wrong)
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
    /// Take the config that is on disk, if it is sound and no run is under way; nothing is lost by it
    Reload,
}

#[derive(Clone, Debug, Subcommand)]
pub enum PlanCommand {
    /// What plans there are
    List,
    /// The steps of a plan
    Show { name: String },
    /// Hold every step against reality: the exact changes, with nothing changed
    Preview { name: String },
}

#[derive(Clone, Debug, Subcommand)]
pub enum FailoverCommand {
    /// Run a plan to its end, or until a human has to decide
    Run(RunArgs),
    /// Follow the run under way
    Follow,
    /// Take back what the latest run did, from its end to the point of no return
    Revert {
        #[arg(long)]
        reason: String,
        /// `revert ` and the plan; asked for when left out
        #[arg(long, default_value = "")]
        phrase: String,
    },
    /// End the run under way before its end
    Abandon {
        #[arg(long)]
        reason: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub enum WaybackCommand {
    /// What is unprotected now, until when a run can be reverted, whether clients could be brought back
    Status,
    /// The plan that would move clients back, made from what the failover did
    Plan,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The plan
    pub name: String,
    /// The region to go to, where the plan leads to several: asked for in a terminal when left out
    #[arg(long, value_name = "REGION")]
    pub to: Option<String>,
    /// live; drill: the same on a test estate; rehearsal: observations and previews only
    #[arg(long, default_value = "live")]
    pub mode: Mode,
    /// Answer the gates that the plan lets an unattended run answer
    #[arg(long)]
    pub yes: bool,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub reason: String,
    /// Of the incident that is declared when none is open
    #[arg(long, default_value = "sev1")]
    pub severity: Severity,
}

#[derive(Clone, Debug, Subcommand)]
pub enum StepCommand {
    /// Answer the gate of a step
    Confirm {
        step: String,
        /// What a typed gate asks for
        #[arg(long, default_value = "")]
        phrase: String,
    },
    /// Go on although a guard stands against it
    Override {
        step: String,
        /// `override ` and the name of the target
        #[arg(long)]
        phrase: String,
        #[arg(long)]
        reason: String,
    },
    /// Try it again
    Retry {
        step: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Go on without it
    Skip {
        step: String,
        #[arg(long)]
        reason: String,
    },
    /// It was done by hand
    Done {
        step: String,
        #[arg(long)]
        reason: String,
    },
    /// Take it back
    Revert {
        step: String,
        #[arg(long)]
        reason: String,
    },
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
    /// Of this incident, which was closed lately: monitoring or resolved
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

#[derive(Clone, Debug, Subcommand)]
pub enum HoldCommand {
    /// No new step starts; what is in flight finishes
    On {
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Go on
    Off {
        #[arg(long, default_value = "")]
        reason: String,
    },
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
    /// journal and anchor anew, both: for that, note the head outside (it is on every message, review and drill) and give it here.
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
pub struct ChecklistArgs {
    /// `list` when left out
    #[command(subcommand)]
    pub command: Option<ChecklistCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum ChecklistCommand {
    /// Every item, as it was last looked at
    List,
    /// Let Mayday look anew, at one item or at all
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

#[derive(Clone, Debug, Subcommand)]
pub enum DrillCommand {
    /// Play a drill, on the lab or on a test estate: the exit code is 0 only if it passed
    Run(DrillRunArgs),
    /// A day on which something goes wrong on the lab, and you do not know what; a score card at its end
    Game(GameArgs),
    #[command(flatten)]
    Look(DrillLook),
}

/// What needs only a look at the engine.
#[derive(Clone, Debug, Subcommand)]
pub enum DrillLook {
    /// What is rehearsed, and what came of it
    List,
    /// What came of the latest drill of a name, or of one by its id
    Show {
        /// `monthly`, or `DRILL-20261123-1`
        name: String,
    },
    /// When each is due; the exit code is for cron and CI
    Schedule,
    /// A systemd service with its timer, and a line for cron, that play a drill when it is due
    Timer {
        /// The drill; all of them when left out
        name: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct DrillRunArgs {
    /// Its name in the config: monthly, quarterly and annual when the config names none
    pub name: String,
    /// Play it on this test estate instead: a config with environment = "test"
    #[arg(long, value_name = "FILE")]
    pub estate: Option<PathBuf>,
    /// Let this go wrong instead: a scenario of `mayday demo --list`
    #[arg(long)]
    pub scenario: Option<String>,
    /// How many times faster the lab lives
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub speed: Option<u64>,
    /// Where the folder of its evidence is made
    #[arg(long, value_name = "DIR")]
    pub bundles: Option<PathBuf>,
    /// People run the recovery, in a cockpit on this terminal; leave it when the run is over
    #[arg(long)]
    pub attended: bool,
    /// No engine takes the result down, so the schedule knows nothing of it; needs no config
    #[arg(long)]
    pub unrecorded: bool,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}

#[derive(Clone, Debug, Args)]
pub struct GameArgs {
    /// The same number is the same day
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many times faster the lab lives
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// No cockpit: an automatic operator plays
    #[arg(long)]
    pub headless: bool,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}
