//! What an engine of a config would refuse, asked of those who would refuse it: no second list of their rules is kept. Nothing is
//! connected to for that.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{try_channel, try_connect, with_ambient};
use crate::config::{BUILT_IN, Config, LeftOut, Mistake, Mistakes};
use crate::domain::plan::Plan;
use crate::domain::system::{Fault, Surroundings};

/// The config, if an engine of it would refuse nothing. A built-in plan with a step that can never be done here is left out, like one that
/// names what the estate does not have.
///
/// # Errors
/// All that it would refuse.
pub fn sound(mut config: Config) -> Result<Config, Mistakes> {
    let (refused, unfit) = refused(&config);
    if !refused.is_empty() {
        return Err(Mistakes(refused));
    }
    config.plans.retain(|plan| !unfit.iter().any(|it| it.plan == plan.id));
    config.left_out.extend(unfit);
    Ok(config)
}

/// Whether a plan is one of ours, and not one of the operator's that has its name.
fn is_built_in(plan: &Plan) -> bool {
    let print = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    BUILT_IN.iter().any(|(id, text)| plan.name() == *id && plan.fingerprint == print(text))
}

/// Every system, channel, probe and step that could never be used as it is written, and the built-in plans that could not.
fn refused(config: &Config) -> (Vec<Mistake>, Vec<LeftOut>) {
    let estate = Arc::new(config.estate.clone());
    let around = Surroundings { estate: estate.clone() };
    let (mut found, mut unfit) = (Vec::new(), Vec::new());
    let mistake = |who: String, fault: &Fault| Mistake {
        file: config.origin.display().to_string(),
        place: None,
        what: format!("{who} can never be used: {}", fault.what),
        help: fault.next.clone(),
    };
    let mut systems = BTreeMap::new();
    for spec in with_ambient(&estate) {
        match try_connect(&spec, &around) {
            Ok(system) => drop(systems.insert(spec.id.clone(), system)),
            Err(fault) => found.push(mistake(format!("the system `{}`", spec.id), &fault)),
        }
    }
    let checks = estate.checklist.iter().flat_map(|item| &item.checks);
    for (what, spec) in estate.probes.iter().map(|it| ("probe", it)).chain(checks.map(|it| ("check", it))) {
        if let Some(fault) = systems.get(&spec.system).and_then(|system| system.refuses(spec)) {
            found.push(mistake(format!("the {what} `{}`", spec.id), &fault));
        }
    }
    for spec in &estate.channels {
        if let Err(fault) = try_channel(spec) {
            found.push(mistake(format!("the channel `{}`", spec.id), &fault));
        }
    }
    for plan in &config.plans {
        let wrong = plan.steps.iter().filter_map(|step| {
            let fault = systems.get(&step.system)?.step(step).err()?;
            Some(mistake(format!("step `{}` of the plan `{}`", step.id, plan.id), &fault))
        });
        let wrong: Vec<Mistake> = wrong.collect();
        match is_built_in(plan) && !wrong.is_empty() {
            true => unfit.push(LeftOut { plan: plan.id.clone(), why: Mistakes(wrong) }),
            false => found.extend(wrong),
        }
    }
    (found, unfit)
}
