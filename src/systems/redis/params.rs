//! The rows of the table of kinds, and what of their parameters can never work.

use super::backups;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::outbound::stream;

const REGION: Param = Param::required("region", ParamType::Region, "where the master has to be");
const SERVING: Param =
    Param::optional("region", ParamType::Region, "where the master has to be; anywhere when it is left out");

pub const REGIONS: Param = Param::required(
    "regions",
    ParamType::Regions,
    "the region of each server and Sentinel, by its address or its name in `nodes`",
);
pub const USERNAME: Param = Param::optional("username", ParamType::Text, "the ACL user on the servers");
pub const PASSWORD: Param = Param::optional("password", ParamType::Secret, "its password");
pub const HEARTBEAT_KEY: Param =
    Param::optional("heartbeat_key", ParamType::Text, "a key that the application keeps writing the time to");
pub const TLS: Param =
    Param::default("tls", ParamType::Flag, "false", "whether servers and Sentinels are spoken to by TLS");
pub const TIMEOUT: Param = Param::default("timeout", ParamType::Span, "2s", "how long one server may take to answer");

/// The row of Redis with replication.
pub static KIND: SystemKind = SystemKind {
    name: "redis",
    title: "Redis with Sentinels or replication",
    ambient: false,
    ways: &[WayOut::new("nodes", To::Members("regions"), "Redis and its Sentinels")],
    params: &[
        Param::optional("master_name", ParamType::Text, "what the Sentinels call the master; needed with `sentinels`"),
        Param::optional(
            "sentinels",
            ParamType::Addresses,
            "every Sentinel, as host:port; left out where there is replication without any",
        ),
        REGIONS,
        Param::optional(
            "nodes",
            ParamType::Map,
            "names for the addresses of servers and Sentinels, and servers that no Sentinel knows yet",
        ),
        USERNAME,
        PASSWORD,
        Param::optional("sentinel_username", ParamType::Text, "the ACL user on the Sentinels"),
        Param::optional("sentinel_password", ParamType::Secret, "the password of the Sentinels, or of their user"),
        TLS,
        Param::optional("sentinel_tls", ParamType::Flag, "the same for Sentinels alone, where they differ"),
        stream::CA,
        stream::CLIENT_CERTIFICATE,
        stream::CLIENT_KEY,
        stream::SERVER_NAME,
        stream::CHECK_NAMES,
        HEARTBEAT_KEY,
        TIMEOUT,
    ],
    probes: &[
        ProbeKind { name: "redis.sentinels", title: "Sentinels: quorum and agreement", params: &[] },
        ProbeKind {
            name: "redis.master",
            title: "The agreed master says that it is one, and takes writes",
            params: &[],
        },
        ProbeKind {
            name: "redis.ping",
            title: "Servers answer PING",
            params: &[Param::optional(
                "node",
                ParamType::Text,
                "one server by address or name; all of the probe's region when it is left out",
            )],
        },
    ],
    steps: STEPS,
    backups: backups::KINDS,
};

const STEPS: &[StepKind] = &[
    StepKind {
        name: "redis.failover",
        title: "Have the Sentinels make another region's replica the master",
        role: StepRole::Promotes,
        // A second failover is no undo: it has no target either, and the writes that were lost stay lost.
        undo: Undo::PointOfNoReturn,
        instead: "once the old region's replicas are in sync, run redis.failover towards it: the same guards apply",
        params: &[REGION],
    },
    StepKind {
        name: "redis.promote",
        title: "Make a replica the master by hand, without Sentinels, and point the other replicas at it",
        role: StepRole::Promotes,
        undo: Undo::PointOfNoReturn,
        instead: "make the old master a replica of this one when it returns; what it alone holds is lost then",
        params: &[
            REGION,
            Param::optional("node", ParamType::Text, "which replica, by address or name; the newest when left out"),
        ],
    },
    StepKind {
        name: "redis.fence",
        title: "Stop every master outside a region from taking writes",
        role: StepRole::Fences,
        undo: Undo::Revert,
        instead: "",
        params: &[Param::required(
            "region",
            ParamType::Region,
            "where the next master will be: those elsewhere are stopped",
        )],
    },
    StepKind {
        name: "redis.steer",
        title: "Set replica-priority so that a failover can only go to one region",
        role: StepRole::Changes,
        undo: Undo::Revert,
        instead: "",
        params: &[REGION],
    },
    StepKind {
        name: "redis.recovery-point",
        title: "Read the newest heartbeat on the current master",
        role: StepRole::Measures,
        undo: Undo::Nothing,
        instead: "",
        params: &[SERVING],
    },
    StepKind {
        name: "redis.writable",
        title: "Write and read a canary key on the agreed master",
        role: StepRole::Checks,
        undo: Undo::Nothing,
        instead: "",
        params: &[SERVING],
    },
];
