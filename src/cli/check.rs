//! `mayday check`: whether the config and its plans are sound, and all that is wrong with them.

use std::io::{self, Write};

use serde_json::json;

use crate::config::{Config, Mistakes, Warning};
use crate::domain::estate::{Estate, Tier};

/// Prints what `config::load` found, for people.
///
/// # Errors
/// When `out` cannot be written to.
pub fn check(loaded: &Result<Config, Mistakes>, out: &mut impl Write) -> io::Result<()> {
    let config = match loaded {
        Ok(config) => config,
        Err(mistakes) => return writeln!(out, "{mistakes}"),
    };
    writeln!(out, "{} is sound", config.origin.display())?;
    for (name, value) in summary(&config.estate) {
        writeln!(out, "  {name:<9} {value}")?;
    }
    for (at, plan) in config.plans.iter().enumerate() {
        let name = if at == 0 { "plans" } else { "" };
        writeln!(out, "  {name:<9} {} ({} steps): {}", plan.id, plan.steps.len(), plan.title)?;
    }
    for odd in &config.warnings {
        write!(out, "\n{}", Warning(odd))?;
    }
    for left_out in &config.left_out {
        writeln!(out, "\nThe built-in plan {} does not fit this estate, so it is not offered:", left_out.plan)?;
        for mistake in &left_out.why.0 {
            let help = if mistake.help.is_empty() { String::new() } else { format!(" ({})", mistake.help) };
            let line = mistake.place.as_ref().map(|place| format!("line {}: ", place.line)).unwrap_or_default();
            writeln!(out, "  {line}{}{help}", mistake.what)?;
        }
    }
    if !config.left_out.is_empty() {
        writeln!(out, "\nA plan of your own in `plans_dir`, named like a built-in one, takes its place.")?;
    }
    Ok(())
}

/// The same for machines.
///
/// # Errors
/// When `out` cannot be written to.
pub fn check_json(loaded: &Result<Config, Mistakes>, out: &mut impl Write) -> io::Result<()> {
    let said = match loaded {
        Err(mistakes) => json!({ "sound": false, "mistakes": mistakes }),
        Ok(config) => {
            let plans: Vec<_> =
                config.plans.iter().map(|plan| json!({ "id": plan.id, "steps": plan.steps.len() })).collect();
            json!({ "sound": true, "mistakes": [], "warnings": config.warnings, "plans": plans, "left_out": config.left_out, "estate": config.estate })
        }
    };
    writeln!(out, "{said:#}")
}

fn summary(estate: &Estate) -> Vec<(&'static str, String)> {
    let regions: Vec<String> = estate.regions.iter().map(|region| format!("{} ({})", region.id, region.role)).collect();
    let of = |tier: Tier| estate.services.iter().filter(|service| service.tier == tier).count();
    vec![
        ("estate", estate.name.clone()),
        ("regions", regions.join(", ")),
        ("services", format!("{} critical, {} standard", of(Tier::Critical), of(Tier::Standard))),
        ("systems", format!("{}, {} of them datastores", estate.systems.len(), estate.datastores().count())),
        ("probes", estate.probes.len().to_string()),
    ]
}
