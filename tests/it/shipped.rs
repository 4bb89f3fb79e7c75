//! What is shipped is sound: the example config, the lab's estate, and the built-in plans against both.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mayday::cli::init::EXAMPLE;
use mayday::config::{self, BUILT_IN, Config, Mistakes};
use mayday::domain::comms::escalations;
use mayday::domain::estate::{Estate, SystemSpec};
use mayday::domain::kinds::{StepRole, Undo};
use mayday::domain::params::Params;
use mayday::domain::plan::{CAUGHT_UP, Gate, Plan, StepSpec};
use mayday::domain::system::Surroundings;
use mayday::lab::estate::config_for;
use mayday::lab::{Lab, Pace};
use mayday::systems::FACTORIES;
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
fn a_name_is_typed_only_where_there_is_no_way_back() {
    for plan in sound(example()).plans {
        for step in plan.steps.iter().filter(|step| step.gate == Gate::Typed) {
            assert_eq!(step.undo, Undo::PointOfNoReturn, "{} of {} can be reverted", step.id, plan.id);
        }
    }
}

#[test]
fn somebody_else_is_woken_where_nobody_acknowledges() {
    let lab = tokio::runtime::Runtime::new().unwrap().block_on(lab());
    let estate = sound(lab).estate;
    assert!(escalations(&estate, false).next().is_some(), "the lab has an escalation");
    assert!(EXAMPLE.contains("# escalation = true"), "and the example shows one");
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

#[test]
fn the_planned_switchover_promotes_nothing_that_has_not_caught_up_and_is_no_way_out_of_a_dead_region() {
    let plan = plan("planned-switchover");
    let of = |role: StepRole| plan.steps.iter().filter(move |step| step.role == role);
    for promotion in of(StepRole::Promotes) {
        let before = plan.ancestors(&promotion.id);
        let caught = |step: &&StepSpec| {
            step.kind == CAUGHT_UP && step.params.opt_text("store") == Some(promotion.system.as_str())
        };
        assert!(
            plan.steps.iter().filter(caught).any(|step| before.contains(&step.id)),
            "{} waits for no copy",
            promotion.id
        );
    }
    let [traffic] = &of(StepRole::Traffic).collect::<Vec<_>>()[..] else { panic!("one step moves traffic") };
    let before = plan.ancestors(&traffic.id);
    let copies = plan.steps.iter().filter(|step| step.kind == CAUGHT_UP);
    assert!(copies.clone().count() >= 4 && copies.clone().all(|step| before.contains(&step.id)));
    assert!(!plan.flees() && !plan.leaves(&"us-east-1".into()));
    assert!(self::plan("regional-failover").leaves(&"us-east-1".into()));
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

/// What an engineer would paste for a step of the example's estate, which nobody can reach from here.
fn by_hand(estate: &Arc<Estate>, step: &StepSpec) -> Vec<String> {
    let kind = step.kind.split('.').next().unwrap();
    let ambient = SystemSpec {
        id: kind.into(),
        kind: kind.into(),
        title: kind.into(),
        region: None,
        class: None,
        params: Params::default(),
    };
    let spec = estate.system(&step.system).unwrap_or(&ambient);
    let factory = FACTORIES.iter().find(|factory| factory.kind().name == kind).unwrap();
    let system = factory.connect(spec, &Surroundings { estate: estate.clone() }).unwrap();
    system.step(step).unwrap().by_hand()
}

#[test]
fn what_is_to_be_done_by_hand_is_shell_without_a_gap_and_goes_to_what_is_left() {
    let config = sound(example());
    let estate = Arc::new(config.estate);
    let steps = config.plans.iter().flat_map(|plan| plan.steps.iter().map(move |step| (plan, step)));
    for (plan, step) in steps.filter(|(_, step)| !step.kind.starts_with("mayday.")) {
        let lines = by_hand(&estate, step);
        let place = format!("{}/{}:\n{}", plan.id, step.id, lines.join("\n"));
        let read = Command::new("bash").arg("-n").arg("-c").arg(lines.join("\n")).output().unwrap();
        assert!(read.status.success(), "{place}\n{}", String::from_utf8_lossy(&read.stderr));
        for gap in ["HOST", "PORT", "`NAME`"] {
            assert!(!lines.iter().any(|line| line.contains(gap)), "{gap} has to be filled in: {place}");
        }
        // Every server is asked who leads; whatever is told to one goes to a survivor.
        let lost = |line: &&String| line.contains("neo4j-1.us-east-1") && !line.contains("statusCheck");
        assert_eq!(lines.iter().find(lost), None, "it is sent to the server that is lost: {place}");
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
