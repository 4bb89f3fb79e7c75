//! The GenNet estate and its regional failover, small, for the scenes of the tests.

use std::collections::BTreeMap;

use crate::domain::backup::BackupSpec;
use crate::domain::checklist::{Item, ItemSpec, Sight};
use crate::domain::comms::{Audience, ChannelSpec, Doubles, Purpose};
use crate::domain::contacts::{Contact, Contacts, PagerDuty, Support};
use crate::domain::estate::{
    DataClass, Estate, Objectives, Policy, ProbeSpec, Region, RegionRole, Service, Subject, SystemSpec, Tier,
};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::kinds::{StepRole, Undo};
use crate::domain::params::{Params, SecretRef};
use crate::domain::plan::{Gate, Plan, StepSpec};
use crate::domain::time::Span;

pub const EAST: &str = "us-east-1";
pub const WEST: &str = "us-west-2";

pub const SERVICES: &[(&str, Tier)] = &[
    ("api-gateway", Tier::Critical),
    ("auth", Tier::Critical),
    ("grn-engine", Tier::Critical),
    ("workflow", Tier::Standard),
    ("ml-inference", Tier::Standard),
    ("web-portal", Tier::Standard),
];

const STORES: &[(&str, &str, DataClass)] = &[
    ("database", "rds", DataClass::Database),
    ("graph", "neo4j", DataClass::Database),
    ("cache", "redis", DataClass::ApplicationState),
    ("objects", "s3", DataClass::UserData),
];

pub fn estate() -> Estate {
    let region = |id: &str, role| Region { id: id.into(), role, title: id.into(), systems: Default::default() };
    let service = |(id, tier): &(&str, Tier)| Service { id: (*id).into(), title: (*id).into(), tier: *tier };
    let store = |(id, kind, class): &(&str, &str, DataClass)| SystemSpec {
        id: (*id).into(),
        kind: (*kind).into(),
        title: (*id).into(),
        region: None,
        class: Some(*class),
        params: Params::default(),
    };
    Estate {
        name: "gennet".into(),
        environment: crate::domain::estate::Environment::Production,
        runs_in: None,
        regions: vec![region(EAST, RegionRole::Primary), region(WEST, RegionRole::Standby)],
        services: SERVICES.iter().map(service).collect(),
        systems: STORES.iter().map(store).collect(),
        probes: probes(),
        backups: backups(),
        contacts: contacts(),
        dependencies: Vec::new(),
        drills: Vec::new(),
        checklist: checklist(),
        channels: Vec::new(),
        comms: Default::default(),
        alerts: Default::default(),
        objectives: Objectives {
            rto: [(Tier::Critical, 300), (Tier::Standard, 900), (Tier::Platform, 1800)]
                .map(|(tier, secs)| (tier, Span::secs(secs)))
                .into(),
            rpo: [(DataClass::Database, 3600), (DataClass::ApplicationState, 900), (DataClass::UserData, 3600)]
                .map(|(class, secs)| (class, Span::secs(secs)))
                .into(),
        },
        policy: Policy::default(),
    }
}

/// The plan's post-recovery checks, in short.
fn checklist() -> Vec<ItemSpec> {
    let item = |id: &str, title: &str, what: &str, why: &str, sees: &[Sight], checks: &[&str]| ItemSpec {
        item: Item {
            id: id.into(),
            title: title.into(),
            what: what.into(),
            why: why.into(),
            sees: sees.to_vec(),
            checks: checks.iter().map(|check| (*check).into()).collect(),
        },
        checks: Vec::new(),
    };
    vec![
        item(
            "services-healthy",
            "All services healthy",
            "Look at every service in the region that serves now. Use the two or three that matter most yourself, as a client would.",
            "One green front page hides a worker that is down. If you close too early, it fails again.",
            &[Sight::Services],
            &[],
        ),
        item(
            "data-integrity",
            "Data integrity verified",
            "Compare what the promoted stores hold with what they held before: counts, checksums, and how far each had come. Look up a few records that were written just before the disruption.",
            "A copy can be up and wrong. Whatever is written on top of damaged data makes it harder to repair; now is the cheapest moment to find out.",
            &[Sight::RecoveryPoints, Sight::Tallies],
            &["data-integrity.http.integrity"],
        ),
        item(
            "performance-normal",
            "Performance metrics normal",
            "Compare latencies and error rates with those from before.",
            "The standby has cold caches and may be smaller.",
            &[Sight::Latency],
            &[],
        ),
        item(
            "user-access",
            "User access restored",
            "Sign in as a user, from outside, along the path that users take.",
            "Users come through DNS, certificates, sessions and sign-in.",
            &[Sight::ClientPath],
            &["user-access.http.login"],
        ),
        item(
            "support-asked",
            "Support was asked",
            "Ask the support desk whether complaints still come in.",
            "They hear first what no probe looks at.",
            &[],
            &[],
        ),
    ]
}

fn backups() -> Vec<BackupSpec> {
    let backup = |id: &str, subject: &str, class, hours: u64| BackupSpec {
        id: id.into(),
        title: id.into(),
        kind: "s3.objects".into(),
        subject: subject.into(),
        system: subject.into(),
        class: Some(class),
        region: None,
        every: Span::secs(60),
        max_age: Some(Span::secs(hours * 3600)),
        retention: Some(Span::secs(7 * 24 * 3600)),
        params: Params::default(),
    };
    vec![
        backup("db-snapshots", "database", DataClass::Database, 26),
        backup("graph-full", "graph", DataClass::Database, 26),
        backup("cache-dumps", "cache", DataClass::ApplicationState, 1),
        backup("etcd", "objects", DataClass::UserData, 13),
    ]
}

fn contacts() -> Contacts {
    let person = |name: &str, role: &str, phone: &str| Contact {
        name: name.into(),
        role: Some(role.into()),
        phone: Some(phone.into()),
        link: None,
    };
    Contacts {
        pagerduty: Some(PagerDuty {
            token: SecretRef::Env("PAGERDUTY_TOKEN".into()),
            url: "https://api.pagerduty.com".into(),
            policies: Vec::new(),
            every: Span::secs(300),
        }),
        escalation: vec![
            person("Bo Lindqvist", "head of platform", "+46 70 5550111"),
            person("Chiara Ricci", "chief technology officer", "+39 5550112"),
        ],
        support: Some(Support {
            plan: "Business, 1 hour for production down".into(),
            account: Some("123456789012".into()),
            phone: None,
            link: Some("https://console.aws.amazon.com/support".into()),
        }),
    }
}

fn probes() -> Vec<ProbeSpec> {
    let probe = |subject: Subject, name: &str, region: &str| ProbeSpec {
        id: format!("{name}@{region}").into(),
        kind: "http.get".into(),
        system: "http".into(),
        subject,
        region: Some(RegionId::from(region)),
        every: Span::secs(5),
        timeout: Span::secs(2),
        fall: 3,
        window: None,
        rise: 2,
        params: Params::default(),
    };
    let in_region = |region: &'static str| {
        let services = SERVICES.iter().map(move |(id, _)| probe(Subject::Service((*id).into()), id, region));
        services.chain([probe(Subject::Region(region.into()), "region", region)])
    };
    [EAST, WEST].into_iter().flat_map(in_region).collect()
}

/// A row of a plan: id, kind, system, needs, gate, role, undo.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str], Gate, StepRole, Undo);

const REGIONAL: &[Row] = &[
    ("fence-primary", "kubernetes.fence", "k8s-primary", &[], Gate::Confirm, StepRole::Fences, Undo::Revert),
    ("scale-standby", "kubernetes.scale", "k8s-standby", &[], Gate::Confirm, StepRole::Capacity, Undo::Revert),
    (
        "promote-database",
        "rds.promote-replica",
        "database",
        &["fence-primary"],
        Gate::Typed,
        StepRole::Promotes,
        Undo::PointOfNoReturn,
    ),
    (
        "promote-cache",
        "redis.failover",
        "cache",
        &["fence-primary"],
        Gate::Confirm,
        StepRole::Promotes,
        Undo::PointOfNoReturn,
    ),
    ("graph-leader", "neo4j.leader", "graph", &["fence-primary"], Gate::Auto, StepRole::Checks, Undo::Nothing),
    (
        "measure-database",
        "http.recovery-point",
        "database",
        &["promote-database"],
        Gate::Auto,
        StepRole::Measures,
        Undo::Nothing,
    ),
    (
        "measure-graph",
        "neo4j.recovery-point",
        "graph",
        &["graph-leader"],
        Gate::Auto,
        StepRole::Measures,
        Undo::Nothing,
    ),
    (
        "measure-state",
        "redis.recovery-point",
        "cache",
        &["promote-cache"],
        Gate::Auto,
        StepRole::Measures,
        Undo::Nothing,
    ),
    (
        "measure-user-data",
        "s3.recovery-point",
        "objects",
        &["fence-primary"],
        Gate::Auto,
        StepRole::Measures,
        Undo::Nothing,
    ),
    (
        "standby-healthy",
        "mayday.healthy",
        "mayday",
        &["scale-standby", "promote-database", "promote-cache", "graph-leader"],
        Gate::Auto,
        StepRole::Checks,
        Undo::Nothing,
    ),
    ("move-dns", "route53.shift", "dns-zone", &["standby-healthy"], Gate::Typed, StepRole::Traffic, Undo::Revert),
    ("client-critical", "http.transaction", "http", &["move-dns"], Gate::Auto, StepRole::Synthetic, Undo::Nothing),
    ("client-standard", "http.transaction", "http", &["move-dns"], Gate::Auto, StepRole::Synthetic, Undo::Nothing),
    (
        "client-platform",
        "http.transaction",
        "http",
        &["client-critical", "client-standard"],
        Gate::Auto,
        StepRole::Synthetic,
        Undo::Nothing,
    ),
    ("record", "mayday.record", "mayday", &["client-platform"], Gate::Auto, StepRole::Records, Undo::Nothing),
];

const TITLES: &[(&str, &str)] = &[
    ("fence-primary", "Stop the writers in us-east-1"),
    ("scale-standby", "Scale us-west-2 to full capacity"),
    ("promote-database", "Promote the database in us-west-2"),
    ("promote-cache", "Make us-west-2 the cache's master"),
    ("move-dns", "Send clients to us-west-2"),
];

fn spec((id, kind, system, needs, gate, role, undo): &Row) -> StepSpec {
    let class = match *system {
        "database" | "graph" => Some(DataClass::Database),
        "cache" => Some(DataClass::ApplicationState),
        "objects" => Some(DataClass::UserData),
        _ => None,
    };
    let recovers = Tier::ALL.iter().copied().filter(|tier| *id == format!("client-{tier}")).collect();
    StepSpec {
        id: (*id).into(),
        title: TITLES
            .iter()
            .find(|(known, _)| known == id)
            .map_or_else(|| id.replace('-', " "), |(_, it)| (*it).into()),
        kind: (*kind).into(),
        system: SystemId::from(*system),
        needs: needs.iter().map(|need| (*need).into()).collect(),
        gate: *gate,
        yes: true,
        timeout: Span::secs(600),
        phrase: if *id == "promote-database" { "gennet-db-replica".into() } else { (*system).into() },
        recovers,
        class,
        region: (*role == StepRole::Traffic).then(|| WEST.into()),
        role: *role,
        undo: *undo,
        params: Params(BTreeMap::new()),
        ways: Vec::new(),
        own_role: false,
        optional: false,
    }
}

pub fn plans() -> Vec<Plan> {
    let plan = |id: &str, title: &str, about: &str, steps: Vec<StepSpec>| Plan {
        id: id.into(),
        title: title.into(),
        about: about.into(),
        steps,
        fingerprint: "0".repeat(64),
        target: None,
    };
    let regional: Vec<StepSpec> = REGIONAL.iter().map(spec).collect();
    let database = regional.iter().filter(|step| step.id.as_str() == "promote-database").cloned();
    let database = database.map(|step| StepSpec { needs: Vec::new(), ..step }).collect();
    vec![
        plan(
            "database-failover",
            "Fail the database over",
            "When the database is down and its region is not.",
            database,
        ),
        plan(
            "regional-failover",
            "Fail over to us-west-2",
            "When us-east-1 is unavailable for longer than 5 minutes, fails its health checks across the region, or has to be left on purpose.",
            regional,
        ),
    ]
}

/// A chat, a pager, a status page and mail to customers.
pub fn channels() -> Vec<ChannelSpec> {
    let rows = [
        ("chat", Audience::Internal, &Purpose::ALL[2..], Doubles::Recognised),
        ("pager", Audience::Internal, &Purpose::ALL[..2], Doubles::Recognised),
        ("status-page", Audience::Public, &Purpose::ALL[2..6], Doubles::Recognised),
        ("customers", Audience::Customers, &Purpose::ALL[2..6], Doubles::Undetectable),
    ];
    let spec = |(id, audience, carries, doubles): (&str, Audience, &[Purpose], Doubles)| ChannelSpec {
        id: id.into(),
        kind: "test".into(),
        title: id.into(),
        audience,
        drills: audience == Audience::Internal,
        escalation: false,
        carries: carries.to_vec(),
        doubles,
        components: Vec::new(),
        params: Params::default(),
    };
    rows.into_iter().map(spec).collect()
}
