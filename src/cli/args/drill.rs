//! Drills, and the day on which nobody knows what goes wrong.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CockpitArgs;
use super::lab::speed;

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
