//! What is shipped is sound: the example config, the lab's estate, and the built-in plans against both.

use std::collections::BTreeSet;
use std::path::Path;

use mayday::cli::init::EXAMPLE;
use mayday::config::{self, BUILT_IN, Config, Mistakes};
use mayday::domain::estate::Estate;
use mayday::domain::kinds::{StepRole, Undo};
use mayday::domain::plan::Plan;
use mayday::lab::estate::config_for;
use mayday::lab::{Lab, Pace};
use mayday::wiring::kinds;

fn example() -> Result<Config, Mistakes> {
    config::parse(EXAMPLE, Path::new("config.example.toml"), &kinds())
}

async fn lab() -> Result<Config, Mistakes> {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let text = config_for(&lab.endpoints, lab.world.pace).unwrap();
    config::parse(&text, Path::new("lab.toml"), &kinds())
}

/// The config, or a panic that shows all its mistakes.
fn sound(read: Result<Config, Mistakes>) -> Config {
    let config = read.unwrap_or_else(|mistakes| panic!("\n{mistakes}"));
    if let Some(left_out) = config.left_out.first() {
        panic!("{} does not fit:\n{}", left_out.plan, left_out.why);
    }
    config
}

#[test]
fn the_example_is_sound_and_every_plan_fits_it() {
    assert_eq!(sound(example()).plans.len(), BUILT_IN.len());
}

#[tokio::test]
async fn the_labs_estate_is_sound_and_every_plan_fits_it() {
    assert_eq!(sound(lab().await).plans.len(), BUILT_IN.len());
}

#[tokio::test]
async fn the_lab_is_the_same_estate_as_the_example() {
    let names = |estate: &Estate| -> BTreeSet<String> {
        let regions = estate.regions.iter().map(|it| format!("region {} {}", it.id, it.role));
        let systems = estate.systems.iter().map(|it| format!("system {} {}", it.id, it.kind));
        let services = estate.services.iter().map(|it| format!("service {} {}", it.id, it.tier));
        let probes = estate.probes.iter().map(|it| format!("probe {}", it.id));
        regions.chain(systems).chain(services).chain(probes).collect()
    };
    assert_eq!(names(&sound(example()).estate), names(&sound(lab().await).estate));
}

#[test]
fn the_regional_failover_keeps_the_safe_order() {
    let plan = plan("regional-failover");
    let of = |role: StepRole| plan.steps.iter().filter(move |step| step.role == role);
    let [fence] = &of(StepRole::Fences).collect::<Vec<_>>()[..] else { panic!("one step fences") };
    let [traffic] = &of(StepRole::Traffic).collect::<Vec<_>>()[..] else { panic!("one step moves traffic") };
    let before_traffic = plan.ancestors(&traffic.id);
    for promotion in of(StepRole::Promotes) {
        assert!(plan.ancestors(&promotion.id).contains(&fence.id), "{} does not wait for the fence", promotion.id);
        assert!(before_traffic.contains(&promotion.id), "traffic does not wait for {}", promotion.id);
    }
    for ready in ["standby-healthy", "scale-standby", "graph-leader", "cache-writable"] {
        assert!(before_traffic.contains(ready), "traffic does not wait for {ready}");
    }
    for client in of(StepRole::Synthetic) {
        assert!(plan.ancestors(&client.id).contains(&traffic.id), "{} does not take the clients' path", client.id);
    }
    let last = plan.steps.last().unwrap();
    assert_eq!((last.role, plan.ancestors(&last.id).len()), (StepRole::Records, plan.steps.len() - 1));
}

fn plan(id: &str) -> Plan {
    let plans = sound(example()).plans;
    plans.into_iter().find(|plan| plan.id.as_str() == id).unwrap_or_else(|| panic!("there is no plan {id}"))
}

#[test]
fn every_step_says_in_a_few_words_what_it_does() {
    for plan in sound(example()).plans {
        for step in &plan.steps {
            let length = step.title.chars().count();
            assert!(length <= 44, "{}/{}: the title has {length} characters", plan.id, step.id);
            assert!(step.title.starts_with(char::is_uppercase), "{}/{}: {}", plan.id, step.id, step.title);
            assert!(step.undo != Undo::PointOfNoReturn || step.role.mutates(), "{}/{}", plan.id, step.id);
        }
    }
}

/// README says what the program does.
#[test]
fn readme_has_every_exit_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for (_, code, meaning) in mayday::cli::exit::TABLE {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "README lacks exit code {code}: {meaning}");
    }
}
