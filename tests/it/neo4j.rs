//! The neo4j driver against the lab.

use std::sync::Arc;

use mayday::domain::estate::{DataClass, ProbeSpec};
use mayday::domain::health::Status;
use mayday::domain::recovery::{Lag, Role, Survey};
use mayday::domain::system::{Begun, FaultClass, GuardVerdict, Observed, OldWriter, Step, System, Verified};
use mayday::domain::time::{At, Span};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Value, json};

use crate::common::{Log, begun, connect, eventually, probe, step};

const SERVERS: [&str; 3] = ["neo4j-1", "neo4j-2", "neo4j-3"];

struct Bed {
    lab: Lab,
    neo4j: Arc<dyn System>,
}

async fn bed(pace: f64) -> Bed {
    with_password(pace, "labpassword").await
}

async fn with_password(pace: f64, password: &str) -> Bed {
    let lab = Lab::start(Pace(pace)).await.unwrap();
    let neo4j = connected(&lab, "bolt", password);
    Bed { lab, neo4j }
}

/// A connection to the lab's cluster by one of the schemes.
fn connected(lab: &Lab, scheme: &str, password: &str) -> Arc<dyn System> {
    let url = |name: &&str| {
        let url = lab.endpoints[&format!("neo4j.{name}")].replace("bolt://", &format!("{scheme}://"));
        ((*name).to_owned(), url.into())
    };
    let urls: serde_json::Map<String, Value> = SERVERS.iter().map(url).collect();
    connect(
        "neo4j",
        Some(DataClass::Database),
        json!({
            "servers": urls,
            "regions": { "neo4j-1": PRIMARY, "neo4j-2": STANDBY, "neo4j-3": STANDBY },
            "password": { "command": ["printf", password] },
            "timeout": "1s",
        }),
    )
}

impl Bed {
    fn set(&self, place: &str, condition: Condition) {
        self.lab.world.truth().faults.set(place, condition);
    }

    fn write(&self, region: &str, at: At) -> Result<(), String> {
        let truth = &mut *self.lab.world.truth();
        let faults = truth.faults.clone();
        truth.neo4j.write(region, at, &faults)
    }

    async fn survey(&self) -> Survey {
        self.neo4j.survey().await.unwrap()
    }

    fn step(&self, kind: &str, given: Value) -> Arc<dyn Step> {
        step(self.neo4j.as_ref(), kind, STANDBY, given)
    }

    async fn status(&self, kind: &str) -> Status {
        self.neo4j.probe(&probe(kind, json!({}))).await.status
    }

    fn accepted(&self, action: &str) -> usize {
        let truth = self.lab.world.truth();
        truth.ledger.iter().filter(|it| it.action == action && it.accepted).count()
    }

    /// The region goes dark, and the survivors elect.
    async fn lose_the_primary(&self) {
        self.set("*@us-east-1", Condition::Dark);
        let leads = self.step("neo4j.leader", json!({ "region": STANDBY }));
        eventually("the survivors elect a leader", async || done(leads.as_ref()).await).await;
    }
}

async fn done(step: &dyn Step) -> Option<()> {
    matches!(step.observe(None).await, Ok(Observed::Done { .. })).then_some(())
}

async fn verdict(step: &dyn Step, name: &str) -> GuardVerdict {
    let checked = step.check().await.unwrap();
    let guard = checked.guards.iter().find(|guard| guard.name == name);
    guard.unwrap_or_else(|| panic!("no guard {name} in {:?}", checked.guards)).verdict
}

/// Applies a step as the engine would, and waits until it is verified.
async fn carry_out(step: &dyn Step) -> Begun {
    let (preview, log) = (step.preview().await.unwrap(), Log::default());
    let receipt = step.apply(&preview.pre_image, &log).await.unwrap();
    let begun = begun(preview.pre_image, receipt);
    eventually("the step is verified", async || {
        matches!(step.verify(&begun, &log).await.unwrap(), Verified::Holds { .. }).then_some(())
    })
    .await;
    begun
}

#[tokio::test]
async fn all_is_well_in_a_healthy_cluster() {
    let bed = bed(200.0).await;
    for kind in ["neo4j.server", "neo4j.leader"] {
        let reading = bed.neo4j.probe(&probe(kind, json!({}))).await;
        assert_eq!(reading.status, Status::Healthy, "{kind}: {}", reading.detail);
    }
    let survey = bed.survey().await;
    let member = |name: &str| survey.members.iter().find(|member| member.name == name).unwrap();
    assert_eq!((member("neo4j-1").role, member("neo4j-1").lag), (Role::Writer, None));
    assert_eq!(member("neo4j-2").role, Role::Replica);
    let lag = member("neo4j-2").lag;
    assert!(matches!(lag, Some(Lag::Transactions(0..16))), "{lag:?}");
    let point = survey.standby_point.expect("a copy in the standby region can be read");
    assert!(point.measured && point.region == Some(STANDBY.into()), "{point:?}");
}

#[tokio::test]
async fn a_lost_leader_is_replaced_by_an_election_and_nothing_committed_is_lost() {
    let bed = bed(100.0).await;
    let leads = bed.step("neo4j.leader", json!({ "region": STANDBY }));
    assert!(matches!(leads.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let none = begun(json!(null), Default::default());
    let verified = leads.verify(&none, &Log::default()).await.unwrap();
    assert!(matches!(&verified, Verified::Pending { detail } if detail.contains("neo4j-1")), "{verified:?}");

    let written = At::now();
    bed.write(PRIMARY, written).unwrap();
    bed.lose_the_primary().await;
    let verified = leads.verify(&none, &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");
    assert_eq!(bed.status("neo4j.leader").await, Status::Degraded, "one primary of three is gone");

    let point = bed.step("neo4j.recovery-point", json!({ "region": STANDBY }));
    let verified = point.verify(&none, &Log::default()).await.unwrap();
    let Verified::Holds { recovery_point: Some(point), .. } = verified else { panic!("{verified:?}") };
    assert!(point.measured);
    assert_eq!(point.at, written, "a majority had it, and a majority elects");

    let survey = bed.survey().await;
    let gone = survey.members.iter().find(|member| member.name == "neo4j-1").unwrap();
    assert_eq!((gone.status, gone.lag), (Status::Down, None), "a missing lag is unknown, not zero");
}

#[tokio::test]
async fn a_server_that_is_dark_does_not_keep_what_the_others_say_from_being_told() {
    let bed = bed(100.0).await;
    bed.lose_the_primary().await;
    // As the engine looks: a look that takes longer than its time says nothing.
    let spec = ProbeSpec { timeout: Span::secs(2), ..probe("neo4j.leader", json!({})) };
    let told = eventually("the leader is told in time", async || {
        tokio::time::timeout(spec.timeout.0, bed.neo4j.probe(&spec)).await.ok()
    })
    .await;
    assert!(told.status == Status::Degraded && told.detail.contains("2/3 primaries take part"), "{told:?}");
    let spec = ProbeSpec { timeout: Span::secs(2), ..probe("neo4j.server", json!({})) };
    let told = eventually("who answers is told in time", async || {
        tokio::time::timeout(spec.timeout.0, bed.neo4j.probe(&spec)).await.ok()
    })
    .await;
    assert!(told.status == Status::Degraded && told.detail.contains("2/3 answer"), "{told:?}");
}

#[tokio::test]
async fn without_a_majority_nobody_leads_and_nothing_is_promoted() {
    let bed = bed(100.0).await;
    bed.set("neo4j@us-west-2", Condition::Dark);
    eventually("the last server steps down", async || (bed.status("neo4j.leader").await == Status::Down).then_some(()))
        .await;
    assert!(bed.write(PRIMARY, At::now()).is_err());
    let recreate = bed.step("neo4j.recreate-database", json!({}));
    assert_eq!(verdict(recreate.as_ref(), "system-database").await, GuardVerdict::Block);
    assert_eq!(recreate.check().await.unwrap().promotion.unwrap().quorum, Some(false));
    let fault = recreate.apply(&json!({}), &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "nothing was sent: {fault}");
    assert_eq!(bed.accepted("recreateDatabase"), 0);
    assert_eq!(bed.survey().await.standby_point, None, "without a writer no copy is surely outside of its region");
}

#[tokio::test]
async fn the_disaster_procedure_brings_back_a_database_without_a_writer() {
    let bed = bed(100.0).await;
    let recreate = bed.step("neo4j.recreate-database", json!({ "database": "analytics" }));
    assert_eq!(verdict(recreate.as_ref(), "writer").await, GuardVerdict::Block, "it has a writer");
    bed.lose_the_primary().await;

    let deallocate = bed.step("neo4j.deallocate", json!({ "server": "neo4j-1" }));
    assert_eq!(verdict(deallocate.as_ref(), "state").await, GuardVerdict::Block, "cordon it first");
    assert_eq!(verdict(deallocate.as_ref(), "writers").await, GuardVerdict::Block, "analytics has no writer");

    let cordon = bed.step("neo4j.cordon", json!({ "server": "neo4j-1" }));
    let cordoned = carry_out(cordon.as_ref()).await;
    done(cordon.as_ref()).await.expect("cordoned");
    cordon.revert(&cordoned, &Log::default()).await.unwrap();
    assert!(matches!(cordon.observe(None).await.unwrap(), Observed::NotDone { .. }));
    carry_out(cordon.as_ref()).await;

    // Analytics has one primary, on the lost server, and a secondary here that lags.
    let checked = recreate.check().await.unwrap();
    assert!(checked.guards.iter().all(|guard| guard.verdict != GuardVerdict::Block), "{:?}", checked.guards);
    let facts = checked.promotion.unwrap();
    assert_eq!((facts.old_writer, facts.quorum), (OldWriter::Unreachable, Some(true)));
    assert!(facts.recovery_point.is_some_and(|point| point.measured));
    carry_out(recreate.as_ref()).await;
    assert_eq!(bed.accepted("recreateDatabase"), 1);

    // The main database wants three primaries, and there is no third server: Neo4j refuses, and nothing happened.
    let fault = deallocate.apply(&json!({}), &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent);
    assert!(fault.what.contains("3 primaries"), "{fault}");
    let drop_server = bed.step("neo4j.drop-server", json!({ "server": "neo4j-1" }));
    assert_eq!(verdict(drop_server.as_ref(), "state").await, GuardVerdict::Block);

    bed.query("ALTER DATABASE neo4j SET TOPOLOGY 2 PRIMARIES").await;
    eventually("every database has a writer again", async || {
        (verdict(deallocate.as_ref(), "writers").await == GuardVerdict::Pass).then_some(())
    })
    .await;
    carry_out(deallocate.as_ref()).await;
    carry_out(drop_server.as_ref()).await;
    done(drop_server.as_ref()).await.expect("dropped");
}

impl Bed {
    /// A command at whichever server leads the system database.
    async fn query(&self, text: &str) {
        for name in SERVERS {
            let url = self.lab.endpoints[&format!("neo4j.{name}")].clone();
            let asked = async {
                let graph = neo4rs::Graph::new(url, "neo4j", "labpassword").await?;
                let mut txn = graph.start_txn_on("system").await?;
                txn.run(neo4rs::query(text)).await?;
                txn.commit().await
            };
            if matches!(tokio::time::timeout(std::time::Duration::from_secs(1), asked).await, Ok(Ok(()))) {
                return;
            }
        }
        panic!("nobody took `{text}`");
    }
}

#[tokio::test]
async fn an_older_store_is_not_recreated_from() {
    let bed = bed(1.0).await;
    // At this pace a transaction takes a while to be applied in the other region.
    let recreate = bed.step("neo4j.recreate-database", json!({ "database": "neo4j", "seeding_servers": ["neo4j-3"] }));
    for _ in 0..3 {
        bed.write(PRIMARY, At::now()).unwrap();
    }
    // What was just written is not applied at neo4j-3 yet, but at the leader.
    assert_eq!(verdict(recreate.as_ref(), "newest-store").await, GuardVerdict::Block);
    let lagging = bed.survey().await.members.into_iter().find(|member| member.name == "neo4j-3").unwrap();
    assert!(matches!(lagging.lag, Some(Lag::Transactions(_))), "{lagging:?}");
}

#[tokio::test]
async fn stopped_databases_are_started_and_stopped_again() {
    let bed = bed(200.0).await;
    let start = bed.step("neo4j.start-databases", json!({}));
    done(start.as_ref()).await.expect("nothing is stopped");
    bed.query("STOP DATABASE analytics").await;
    let preview = start.preview().await.unwrap();
    assert!(preview.summary.contains("analytics"), "{}", preview.summary);
    let begun = carry_out(start.as_ref()).await;
    done(start.as_ref()).await.expect("started");
    start.revert(&begun, &Log::default()).await.unwrap();
    assert!(matches!(start.observe(None).await.unwrap(), Observed::NotDone { .. }));
}

#[tokio::test]
async fn a_database_whose_hosts_are_all_gone_has_vanished() {
    let bed = bed(100.0).await;
    bed.query("ALTER DATABASE analytics SET TOPOLOGY 1 PRIMARY").await;
    bed.lose_the_primary().await;
    let gone = bed.step("neo4j.recreate-database", json!({ "database": "analytics" }));
    let observed = gone.observe(None).await.unwrap();
    assert!(matches!(&observed, Observed::Impossible { why } if why.contains("vanished")), "{observed:?}");
}

#[tokio::test]
async fn a_refused_login_tells_no_secret() {
    let bed = with_password(200.0, "hunter2").await;
    let fault = bed.neo4j.survey().await.unwrap_err();
    let reading = bed.neo4j.probe(&probe("neo4j.server", json!({}))).await;
    assert_eq!(reading.status, Status::Unknown, "who turns us away lives: {}", reading.detail);
    for text in [fault.to_string(), reading.detail] {
        assert!(text.contains("unauthorized") && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn broken_answers_end_in_a_reading() {
    let bed = bed(200.0).await;
    for condition in [Condition::Half, Condition::Garbage, Condition::Refused, Condition::Denied, Condition::Throttled]
    {
        bed.set("neo4j@us-east-1", condition);
        bed.set("neo4j@us-west-2", condition);
        // Each begins anew: a refused login is not tried again for a while.
        let neo4j = connected(&bed.lab, "bolt", "labpassword");
        // Who is refused has learnt neither that nobody is there nor that nobody leads.
        let seen = if condition == Condition::Denied { Status::Unknown } else { Status::Down };
        for kind in ["neo4j.server", "neo4j.leader"] {
            let reading = neo4j.probe(&probe(kind, json!({}))).await;
            assert_eq!(reading.status, seen, "{condition:?} {kind}: {}", reading.detail);
        }
    }
}

#[tokio::test]
async fn a_cluster_is_read_by_a_routing_scheme_too() {
    let bed = bed(200.0).await;
    let routed = connected(&bed.lab, "neo4j", "labpassword");
    for kind in ["neo4j.server", "neo4j.leader"] {
        let reading = routed.probe(&probe(kind, json!({}))).await;
        assert_eq!(reading.status, Status::Healthy, "{kind}: {}", reading.detail);
    }
    let survey = routed.survey().await.unwrap();
    assert!(survey.standby_point.is_some() && survey.members.iter().any(|it| it.role == Role::Writer), "{survey:#?}");
}

#[tokio::test]
async fn a_refused_password_is_not_tried_at_every_look() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let place = lab.endpoints["neo4j.neo4j-1"].trim_start_matches("bolt://").to_owned();
    // Whoever knocks passes here.
    let door = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("bolt://{}", door.local_addr().unwrap());
    let knocks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = knocks.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = door.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut server = tokio::net::TcpStream::connect(&place).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut server).await.ok() });
        }
    });
    let stale = |password: &str| {
        let given = json!({
            "servers": { "neo4j-1": url }, "regions": { "neo4j-1": PRIMARY },
            "password": { "command": ["printf", password] },
        });
        connect("neo4j", Some(DataClass::Database), given)
    };
    let neo4j = stale("hunter2");
    let mut last = String::new();
    for _ in 0..5 {
        let reading = neo4j.probe(&probe("neo4j.server", json!({}))).await;
        assert_eq!(reading.status, Status::Unknown, "{}", reading.detail);
        assert!(neo4j.survey().await.is_err());
        last = reading.detail;
    }
    assert_eq!(knocks.load(std::sync::atomic::Ordering::SeqCst), 1, "three would lock the user for everybody");
    assert!(last.contains("unauthorized") && last.contains("tried again in") && !last.contains("hunter2"), "{last}");
    // A right one is let in at once.
    let reading = stale("labpassword").probe(&probe("neo4j.server", json!({}))).await;
    assert_eq!(reading.status, Status::Healthy, "{}", reading.detail);
}
