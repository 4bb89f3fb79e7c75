//! Plans, their runs and the steps of a run.

use clap::{Args, Subcommand};

use crate::domain::incident::Severity;
use crate::domain::run::Mode;

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
