//! The demo, and the lab by itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CockpitArgs;
use crate::cli::DEFAULT_SCENARIO;

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
        self.scenario.as_deref().unwrap_or(DEFAULT_SCENARIO)
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
    /// Repair one place, or everything
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

/// How many times faster than life.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let wrong = || "a speed is a number from 0.1 to 1000".to_owned();
    let speed: f64 = text.parse().map_err(|_| wrong())?;
    (0.1..=1000.0).contains(&speed).then_some(speed).ok_or_else(wrong)
}
