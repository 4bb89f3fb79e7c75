//! The table of what the API serves, and the discovery documents that are read off it.

use serde_json::{Value, json};

use super::backups::VELERO_NAMESPACE;
use super::{Kind, NAMESPACE};

/// A resource of the API.
pub struct Resource {
    pub kind: Kind,
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    /// As in paths.
    pub plural: &'static str,
    singular: &'static str,
    /// As in objects.
    pub object: &'static str,
    pub namespaced: bool,
    /// Where all of it is.
    pub namespace: &'static str,
    short: &'static [&'static str],
    /// Whether its spec can be changed.
    pub writable: bool,
    pub scalable: bool,
}

const fn readable(
    kind: Kind,
    plural: &'static str,
    singular: &'static str,
    object: &'static str,
    short: &'static [&'static str],
) -> Resource {
    let (group, version, namespaced, namespace) =
        ("", "v1", matches!(kind, Kind::Pod | Kind::Claim | Kind::Quota), NAMESPACE);
    let (writable, scalable) = (false, false);
    Resource { kind, group, version, plural, singular, object, namespaced, namespace, short, writable, scalable }
}

const fn custom(
    kind: Kind,
    (group, namespace): (&'static str, &'static str),
    plural: &'static str,
    singular: &'static str,
    object: &'static str,
) -> Resource {
    let (version, namespaced, writable, scalable) = ("v1", true, false, false);
    Resource { kind, group, version, plural, singular, object, namespaced, namespace, short: &[], writable, scalable }
}

const VELERO: (&str, &str) = ("velero.io", VELERO_NAMESPACE);
const SNAPSHOTS: (&str, &str) = ("snapshot.storage.k8s.io", NAMESPACE);

pub const RESOURCES: [Resource; 11] = [
    readable(Kind::Namespace, "namespaces", "namespace", "Namespace", &["ns"]),
    readable(Kind::Node, "nodes", "node", "Node", &["no"]),
    readable(Kind::Pod, "pods", "pod", "Pod", &["po"]),
    readable(Kind::Claim, "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", &["pvc"]),
    readable(Kind::Quota, "resourcequotas", "resourcequota", "ResourceQuota", &["quota"]),
    custom(Kind::Snapshot, SNAPSHOTS, "volumesnapshots", "volumesnapshot", "VolumeSnapshot"),
    custom(Kind::Backup, VELERO, "backups", "backup", "Backup"),
    custom(Kind::Schedule, VELERO, "schedules", "schedule", "Schedule"),
    custom(Kind::BackupLocation, VELERO, "backupstoragelocations", "backupstoragelocation", "BackupStorageLocation"),
    Resource {
        kind: Kind::Deployment,
        group: "apps",
        version: "v1",
        plural: "deployments",
        singular: "deployment",
        object: "Deployment",
        namespaced: true,
        namespace: NAMESPACE,
        short: &["deploy"],
        writable: true,
        scalable: true,
    },
    Resource {
        kind: Kind::Autoscaler,
        group: "autoscaling",
        version: "v2",
        plural: "horizontalpodautoscalers",
        singular: "horizontalpodautoscaler",
        object: "HorizontalPodAutoscaler",
        namespaced: true,
        namespace: NAMESPACE,
        short: &["hpa"],
        writable: true,
        scalable: false,
    },
];

/// Where access is asked about.
pub const AUTHORIZATION: (&str, &str) = ("authorization.k8s.io", "v1");

impl Resource {
    pub fn of(kind: Kind) -> &'static Resource {
        RESOURCES.iter().find(|it| it.kind == kind).unwrap_or(&RESOURCES[0])
    }

    pub fn api_version(&self) -> String {
        joined(self.group, self.version)
    }

    fn documents(&self) -> Vec<Value> {
        let verbs: &[&str] =
            if self.writable { &["get", "list", "watch", "patch", "update"] } else { &["get", "list", "watch"] };
        let mut documents = vec![json!({
            "name": self.plural, "singularName": self.singular, "namespaced": self.namespaced,
            "kind": self.object, "verbs": verbs, "shortNames": self.short,
        })];
        if self.scalable {
            documents.push(json!({
                "name": format!("{}/scale", self.plural), "singularName": "", "namespaced": self.namespaced,
                "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
            }));
        }
        documents
    }
}

fn joined(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The document at a path that discovers, if it is one.
pub fn discovery(path: &[&str]) -> Option<Value> {
    match path {
        ["version"] => Some(json!({
            "major": "1", "minor": "32", "gitVersion": "v1.32.4+lab", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "none", "platform": "linux/amd64",
        })),
        ["api"] => Some(json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })),
        ["apis"] => {
            let groups: Vec<Value> =
                groups().into_iter().map(|(group, version)| group_document(group, version)).collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", group] => {
            let found = groups().into_iter().find(|(name, _)| name == group)?;
            let mut document = group_document(found.0, found.1);
            (document["kind"], document["apiVersion"]) = ("APIGroup".into(), "v1".into());
            Some(document)
        }
        ["api", version] => resource_list("", version),
        ["apis", group, version] => resource_list(group, version),
        _ => None,
    }
}

fn groups() -> Vec<(&'static str, &'static str)> {
    let named = RESOURCES.iter().map(|it| (it.group, it.version)).filter(|(group, _)| !group.is_empty());
    let mut all: Vec<_> = named.chain([AUTHORIZATION]).collect();
    all.dedup();
    all
}

fn group_document(group: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": joined(group, version), "version": version });
    json!({ "name": group, "versions": [version], "preferredVersion": version })
}

fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut resources: Vec<Value> = RESOURCES
        .iter()
        .filter(|it| (it.group, it.version) == (group, version))
        .flat_map(Resource::documents)
        .collect();
    if (group, version) == AUTHORIZATION {
        resources.push(json!({
            "name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
            "kind": "SelfSubjectAccessReview", "verbs": ["create"],
        }));
    }
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": joined(group, version), "resources": resources,
    });
    (!resources.is_empty()).then_some(list)
}
