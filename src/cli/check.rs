//! `mayday check`: whether the config and its plans are sound, and all that is wrong with them.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::connect::Tried;
use crate::config::{Config, Mistakes, Warning};
use crate::domain::estate::{Estate, RegionRole, Tier};
use crate::domain::plan::Plan;

/// Prints what was found, for people: what is missing first, then what there is. `verbose` tells also everything about built-in plans
/// that do not fit.
///
/// # Errors
/// When `out` cannot be written to.
pub fn check(
    loaded: &Result<Config, Mistakes>,
    warnings: &[String],
    verbose: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let config = match loaded {
        Ok(config) => config,
        Err(mistakes) => return writeln!(out, "{mistakes}"),
    };
    if let Some(text) = stays(config) {
        writeln!(out, "{text}\n")?;
    }
    writeln!(out, "{} is valid", config.origin.display())?;
    for warning in warnings {
        writeln!(out, "  warning   {warning}")?;
    }
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
    plans_left_out(config, verbose, out)
}

/// When no plan moves clients: the first thing to know, because nothing that comes after it helps when the primary region fails.
fn stays(config: &Config) -> Option<String> {
    if config.plans.iter().any(Plan::flees) {
        return None;
    }
    let named = |role| config.estate.region(role).map_or("?", |region| region.id.as_str());
    let standbys: Vec<&str> = config.estate.standbys().map(|region| region.id.as_str()).collect();
    Some(format!(
        "NO PLAN LEAVES THE PRIMARY REGION: none moves clients from {} to {}. If {0} fails, Mayday can only watch.\n\
         → give the estate what a built-in plan needs (`mayday check -v`), or put a plan of your own into `plans_dir`",
        named(RegionRole::Primary),
        standbys.join(" or "),
    ))
}

/// A line a plan; with `verbose` all that keeps it from fitting.
fn plans_left_out(config: &Config, verbose: bool, out: &mut impl Write) -> io::Result<()> {
    for left_out in &config.left_out {
        let why = &left_out.why.0;
        let first = why.first().map_or("", |mistake| mistake.what.as_str());
        let more = match why.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        writeln!(out, "  not offered: {}: {first}{more}", left_out.plan)?;
        for mistake in why.iter().filter(|_| verbose) {
            let help = if mistake.help.is_empty() { String::new() } else { format!(" ({})", mistake.help) };
            writeln!(out, "    {}{help}", mistake.what)?;
        }
    }
    if !config.left_out.is_empty() {
        let detail = if verbose { "" } else { "`mayday check -v` tells all. " };
        writeln!(out, "  {detail}A plan of your own in `plans_dir`, named like a built-in one, takes its place.")?;
    }
    Ok(())
}

/// The same for machines.
///
/// # Errors
/// When `out` cannot be written to.
pub fn check_json(loaded: &Result<Config, Mistakes>, warnings: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:#}", answer(loaded, warnings, None))
}

/// The same as a value; `tried` is what came of trying everything once, if that was wanted.
pub fn answer(loaded: &Result<Config, Mistakes>, warnings: &[String], tried: Option<&[Tried]>) -> Value {
    match loaded {
        Err(mistakes) => json!({ "sound": false, "mistakes": mistakes }),
        Ok(config) => {
            let plans: Vec<_> =
                config.plans.iter().map(|plan| json!({ "id": plan.id, "steps": plan.steps.len() })).collect();
            let odd = config.warnings.iter().map(|it| Warning(it).to_string());
            let warnings: Vec<String> = warnings.iter().cloned().chain(odd).collect();
            let mut said = json!({
                "sound": true,
                "mistakes": [],
                "warnings": warnings,
                "leaves_primary": stays(config).is_none(),
                "plans": plans,
                "left_out": config.left_out,
                "estate": config.estate,
            });
            if let Some(tried) = tried {
                said["connections"] = json!(tried);
            }
            said
        }
    }
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
