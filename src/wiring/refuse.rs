//! What an engine of a config would refuse, asked of those who would refuse it: no second list of their rules is kept. Nothing is
//! connected to for that.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{try_channel, try_connect, with_ambient};
use crate::config::{Config, Mistake, Mistakes};
use crate::domain::system::{Fault, Surroundings};

/// The config, if an engine of it would refuse nothing.
///
/// # Errors
/// All that it would refuse.
pub fn sound(config: Config) -> Result<Config, Mistakes> {
    let refused = refused(&config);
    if refused.is_empty() { Ok(config) } else { Err(Mistakes(refused)) }
}

/// Every system, probe, channel and step that could never be used as it is written.
fn refused(config: &Config) -> Vec<Mistake> {
    let estate = Arc::new(config.estate.clone());
    let around = Surroundings { estate: estate.clone() };
    let mut found = Vec::new();
    let mut say = |who: String, fault: &Fault| {
        found.push(Mistake {
            file: config.origin.display().to_string(),
            place: None,
            what: format!("{who} can never be used: {}", fault.what),
            help: fault.next.clone(),
        });
    };
    let mut systems = BTreeMap::new();
    for spec in with_ambient(&estate) {
        match try_connect(&spec, &around) {
            Ok(system) => drop(systems.insert(spec.id.clone(), system)),
            Err(fault) => say(format!("the system `{}`", spec.id), &fault),
        }
    }
    let checks = estate.checklist.iter().flat_map(|item| &item.checks);
    for (what, spec) in estate.probes.iter().map(|it| ("probe", it)).chain(checks.map(|it| ("check", it))) {
        if let Some(fault) = systems.get(&spec.system).and_then(|system| system.refuses(spec)) {
            say(format!("the {what} `{}`", spec.id), &fault);
        }
    }
    for spec in &estate.channels {
        if let Err(fault) = try_channel(spec) {
            say(format!("the channel `{}`", spec.id), &fault);
        }
    }
    for plan in &config.plans {
        for step in &plan.steps {
            let made = systems.get(&step.system).map(|system| system.step(step));
            if let Some(Err(fault)) = made {
                say(format!("step `{}` of the plan `{}`", step.id, plan.id), &fault);
            }
        }
    }
    found
}
