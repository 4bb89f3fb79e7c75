//! `mayday drill`: rehearsing the plan.

pub mod automatic;
mod bundle;
mod check;
pub mod game;
mod play;
pub mod run;

use serde_json::json;

use super::engine;
use super::failure::Failure;
use super::places::Places;
use super::say::say;
use crate::cli::args::{DrillLook, Format};
use crate::cli::drill;
use crate::cli::exit::Exit;
use crate::domain::schedule::DrillSpec;
use crate::systems::script::process::typed;

/// What needs only a look at the engine.
///
/// # Errors
/// When there is no drill of the name, or no engine answers.
pub async fn look(places: &Places, command: &DrillLook, format: Format) -> Result<Exit, Failure> {
    let view = &engine::ensure(places).await?.snapshot().await?;
    match command {
        DrillLook::List => say(format, &drill::list_json(view), drill::list(view)),
        DrillLook::Show { name } => {
            let missing = || {
                let known: Vec<&str> = view.state.drills.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none was played yet".into() } else { known.join(", ") };
                Failure::new(Exit::Refused, format!("there is no result of a drill `{name}` → there is: {known}"))
            };
            let found = drill::find(view, name).ok_or_else(missing)?;
            say(format, found, drill::show(view, found))
        }
        DrillLook::Schedule => {
            say(format, &drill::schedule_json(view), drill::schedule_text(view))?;
            Ok(if drill::fails(view) { Exit::NotReady } else { Exit::Ok })
        }
        DrillLook::Timer { name } => {
            let specs: Vec<&DrillSpec> = match name {
                Some(name) => vec![find(&view.estate.drills, name)?],
                None => view.estate.drills.iter().collect(),
            };
            let exe = std::env::current_exe()?.display().to_string();
            let at = [std::path::absolute(&places.config)?, std::path::absolute(&places.state)?];
            let [config, state] = at.map(|path| path.display().to_string());
            let words = |name: &str| -> Vec<String> {
                let words =
                    [exe.as_str(), "--config", config.as_str(), "--state-dir", state.as_str(), "drill", "run", name];
                words.map(str::to_owned).into()
            };
            let text = |spec: &&DrillSpec| drill::timer(spec, &typed(&words(&spec.name)));
            let texts: Vec<String> = specs.iter().map(text).collect();
            let named: Vec<_> =
                specs.iter().zip(&texts).map(|(spec, text)| json!({ "drill": spec.name, "text": text })).collect();
            say(format, &named, texts.join("\n"))
        }
    }
}

/// A drill by name.
///
/// # Errors
/// When the config has none of that name: the error lists those it has.
fn find<'s>(drills: &'s [DrillSpec], name: &str) -> Result<&'s DrillSpec, Failure> {
    let known = || drills.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    let missing = || {
        let next = match drills.is_empty() {
            true => "the config has no [[drill]]".to_owned(),
            false => format!("choose one of {}", known()),
        };
        Failure::new(Exit::Refused, format!("there is no drill `{name}` → {next}"))
    };
    drills.iter().find(|it| it.name == name).ok_or_else(missing)
}
