use std::time::Duration;

use super::super::faults::{Condition, Faults};
use super::super::world::{Pace, STANDBY};
use super::*;

/// A cluster at the pace of real time, and a clock of its own.
struct Run {
    cluster: Cluster,
    faults: Faults,
    start: Timestamp,
    now: Timestamp,
}

impl Run {
    fn new(region: &'static str) -> Self {
        let start = Timestamp::now();
        Self { cluster: Cluster::gennet(region, start), faults: Faults::default(), start, now: start }
    }

    /// Passes every second up to `second`.
    fn until(&mut self, second: u64) -> &Cluster {
        while self.now < self.start + Duration::from_secs(second) {
            self.now += Duration::from_secs(1);
            self.cluster.tick(&Tick { now: self.now, pace: Pace(1.0), faults: &self.faults });
        }
        &self.cluster
    }

    fn scale(&mut self, service: &str, replicas: u64) {
        let at = self.cluster.deployments.iter().position(|it| it.name == service).unwrap();
        self.cluster.deployments[at].spec["replicas"] = replicas.into();
        self.cluster.changed(at, self.now);
    }
}

#[test]
fn a_scaled_deployment_takes_its_time() {
    let mut run = Run::new(STANDBY);
    assert_eq!(run.until(2).ready("auth"), 1);
    run.scale("auth", 3);
    let auth = |cluster: &Cluster| {
        let it = cluster.deployments.iter().find(|it| it.name == "auth").unwrap();
        (it.generation, it.observed, cluster.ready("auth"))
    };
    assert_eq!(auth(&run.cluster), (2, 1, 1), "not noticed yet");
    assert_eq!(auth(run.until(10)), (2, 2, 1));
    assert_eq!(auth(run.until(40)), (2, 2, 3));
    run.scale("auth", 0);
    assert_eq!(run.until(42).ready("auth"), 0);
    assert!(run.cluster.pods_of("auth").count() > 0, "still stopping");
    assert_eq!(run.until(50).pods_of("auth").count(), 0);
}

#[test]
fn an_autoscaler_takes_back_what_its_minimum_does_not_allow() {
    let mut run = Run::new(STANDBY);
    run.until(1);
    run.scale("grn-engine", 4);
    assert_eq!(run.until(60).ready("grn-engine"), 1, "scaled back");
    let at = run.cluster.autoscalers.iter().position(|it| it.name == "grn-engine").unwrap();
    run.cluster.autoscalers[at].spec["minReplicas"] = 4.into();
    assert_eq!(run.until(120).ready("grn-engine"), 4, "the minimum alone raises it");
    run.scale("grn-engine", 0);
    assert_eq!(run.until(300).ready("grn-engine"), 0, "at 0 the autoscaler is off");
    assert!(run.cluster.autoscalers[at].off);
}

#[test]
fn the_standby_holds_the_full_load_and_no_more_than_its_nodes_can() {
    let mut run = Run::new(STANDBY);
    for service in &SERVICES {
        run.scale(service.name, service.full);
    }
    run.cluster.autoscalers.iter_mut().for_each(|it| it.spec["minReplicas"] = 4.into());
    run.until(60);
    assert!(SERVICES.iter().all(|service| run.cluster.ready(service.name) as u64 == service.full));
    run.scale("auth", 30);
    run.until(120);
    let pending = |cluster: &Cluster| cluster.pods.iter().filter(|pod| pod.placed.is_none()).count();
    assert_eq!((run.cluster.pods.len() - pending(&run.cluster), run.cluster.ready("auth")), (21, 6));
}

#[test]
fn a_new_template_rolls_without_an_outage() {
    let mut run = Run::new(PRIMARY);
    run.until(1);
    run.cluster.deployments[0].spec["template"]["metadata"]["annotations"] = json!({ "restarted": "now" });
    run.cluster.changed(0, run.now);
    let name = run.cluster.deployments[0].name;
    for second in 2..180 {
        assert!(run.until(second).ready(name) >= 3, "second {second}");
    }
    assert!(run.cluster.pods_of(name).all(|pod| pod.revision == 2 && pod.ready.is_some()));
    assert_eq!(run.cluster.ready(name), 4);
}

#[test]
fn a_broken_node_takes_its_pods_with_it() {
    let mut run = Run::new(PRIMARY);
    let all = |cluster: &Cluster| SERVICES.iter().map(|service| cluster.ready(service.name)).sum::<usize>();
    assert_eq!(all(run.until(1)), 18);
    run.faults.set("node-1@us-east-1", Condition::Dark);
    assert_eq!(all(run.until(3)), 12);
    run.faults.heal_all();
    assert_eq!(all(run.until(5)), 18);
}

#[test]
fn pods_of_a_lost_zone_are_made_anew_elsewhere_as_far_as_there_is_room() {
    let mut run = Run::new(PRIMARY);
    let all = |cluster: &Cluster| SERVICES.iter().map(|service| cluster.ready(service.name)).sum::<usize>();
    run.until(1);
    run.faults.set("us-east-1a", Condition::Dark);
    assert_eq!(all(run.until(200)), 12);
    assert!(SERVICES.iter().all(|service| run.cluster.ready(service.name) > 0), "every service has a pod elsewhere");
    let cluster = run.until(400);
    assert_eq!(all(cluster), 14, "the two places that are left are taken");
    assert_eq!(cluster.pods.iter().filter(|pod| pod.placed.is_none()).count(), 4);
    assert_eq!(cluster.pods.iter().filter(|pod| pod.leaving.is_some()).count(), 6, "nobody can say that they ended");
    run.faults.heal_all();
    assert_eq!(all(run.until(500)), 18);
    assert_eq!(run.cluster.pods.len(), 18);
}

#[test]
fn nothing_is_evicted_while_the_whole_region_is_gone() {
    let mut run = Run::new(PRIMARY);
    run.until(1);
    run.faults.set("*@us-east-1", Condition::Dark);
    assert!(run.until(600).pods.iter().all(|pod| pod.leaving.is_none()));
}

#[test]
fn drift_rolls_an_older_version_out_without_an_outage() {
    let mut run = Run::new(STANDBY);
    let runs = |cluster: &Cluster| cluster.deployments[1].template["spec"]["containers"][0]["image"].clone();
    let before = runs(run.until(1));
    run.faults.set("*@us-west-2", Condition::Drift);
    for second in 2..120 {
        assert!(run.until(second).ready("auth") > 0, "second {second}");
    }
    assert_ne!(runs(&run.cluster), before);
    run.faults.heal_all();
    assert_eq!(runs(run.until(200)), before);
}
