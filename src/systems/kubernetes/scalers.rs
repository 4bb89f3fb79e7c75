//! Who else changes how many replicas there are: a HorizontalPodAutoscaler, in whichever version the server has it, and KEDA.
//!
//! At zero replicas a HorizontalPodAutoscaler is off
//! (<https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation>); KEDA is not: it
//! is told to hold still by an annotation (<https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling>).

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Spot;
use super::client::Client;
use super::lists::part;
use super::sorts::SCALED_OBJECT;
use crate::domain::system::Fault;

/// KEDA holds this many replicas, whatever happens.
pub const PAUSED_AT: &str = "autoscaling.keda.sh/paused-replicas";
/// KEDA does nothing.
pub const PAUSED: &str = "autoscaling.keda.sh/paused";

/// The versions in which a server may have it, the newest first: all of them say the same of bounds and targets.
const VERSIONS: [&str; 3] = ["v2", "v2beta2", "v1"];

/// What an autoscaler may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    pub name: String,
    pub min: u64,
    pub max: u64,
    /// KEDA's, whose word goes before that of the autoscaler that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keda: Option<Keda>,
}

/// By which annotations KEDA is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keda {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

impl Autoscaler {
    /// Whether it leaves a workload at zero where it is.
    pub fn leaves_zero(&self) -> bool {
        self.keda.as_ref().is_none_or(|it| it.paused || it.paused_at.as_deref() == Some("0"))
    }

    /// Whether it may take replicas away from so many.
    pub fn leaves(&self, full: u64) -> bool {
        match &self.keda {
            Some(Keda { paused_at: Some(held), .. }) => held.parse::<u64>().is_ok_and(|held| held >= full),
            Some(Keda { paused: true, .. }) => true,
            _ => self.min >= full,
        }
    }

    /// `HPA 4..10`
    pub fn words(&self) -> String {
        let Some(keda) = &self.keda else { return format!("HPA {}..{}", self.min, self.max) };
        match (&keda.paused_at, keda.paused) {
            (Some(held), _) => format!("KEDA paused at {}", crate::domain::text::clean(held)),
            (None, true) => "KEDA paused".to_owned(),
            (None, false) => format!("KEDA {}..{}", self.min, self.max),
        }
    }

    /// What makes it keep `full` replicas at least, and what it is called then.
    pub fn kept_at(&self, full: u64) -> (Value, Self) {
        let (min, max) = (self.min.max(full), self.max.max(full));
        let keda = self.keda.as_ref().map(|it| Keda { paused_at: None, paused: it.paused });
        let wanted = Self { name: self.name.clone(), min, max, keda };
        (wanted.patch(), wanted)
    }

    /// What makes KEDA hold still at zero.
    pub fn paused_at_zero() -> Value {
        json!({ "metadata": { "annotations": { PAUSED_AT: "0" } } })
    }

    /// What makes it what it is.
    pub fn patch(&self) -> Value {
        match &self.keda {
            None => json!({ "spec": { "minReplicas": self.min, "maxReplicas": self.max } }),
            Some(keda) => json!({
                "spec": { "minReplicaCount": self.min, "maxReplicaCount": self.max },
                "metadata": { "annotations": { PAUSED_AT: keda.paused_at } },
            }),
        }
    }
}

/// One that there is.
#[derive(Clone, Debug)]
pub struct Scaler {
    pub bounds: Autoscaler,
    /// Its path in the API, by the version that the server has.
    pub path: String,
    /// The kind and name of what it scales.
    target: (String, String),
}

impl Scaler {
    /// Whether it minds an object.
    pub fn minds(&self, kind: &str, name: &str) -> bool {
        (self.target.0.as_str(), self.target.1.as_str()) == (kind, name)
    }

    #[cfg(test)]
    pub fn minding(kind: &str, name: &str, bounds: Autoscaler) -> Self {
        Self { bounds, path: String::new(), target: (kind.to_owned(), name.to_owned()) }
    }

    fn of_hpa(object: &Value, list: &str) -> Option<Self> {
        let (spec, name) = (&object["spec"], object["metadata"]["name"].as_str()?);
        Some(Self {
            bounds: Autoscaler {
                name: name.to_owned(),
                // Left out, it is one (the API reference).
                min: spec["minReplicas"].as_u64().unwrap_or(1),
                max: spec["maxReplicas"].as_u64().unwrap_or(0),
                keda: None,
            },
            path: format!("{list}/{}", part(name)),
            target: target(&spec["scaleTargetRef"])?,
        })
    }

    /// Left out, the bounds are 0 and 100 (<https://keda.sh/docs/latest/reference/scaledobject-spec/>).
    fn of_keda(object: &Value, list: &str) -> Option<Self> {
        let (spec, name) = (&object["spec"], object["metadata"]["name"].as_str()?);
        let annotations = &object["metadata"]["annotations"];
        Some(Self {
            bounds: Autoscaler {
                name: name.to_owned(),
                min: spec["minReplicaCount"].as_u64().unwrap_or(0),
                max: spec["maxReplicaCount"].as_u64().unwrap_or(100),
                keda: Some(Keda {
                    paused_at: annotations[PAUSED_AT].as_str().map(str::to_owned),
                    paused: annotations[PAUSED].as_str().is_some_and(|it| it == "true"),
                }),
            },
            path: format!("{list}/{}", part(name)),
            target: target(&spec["scaleTargetRef"])?,
        })
    }
}

fn target(reference: &Value) -> Option<(String, String)> {
    Some((reference["kind"].as_str().unwrap_or("Deployment").to_owned(), reference["name"].as_str()?.to_owned()))
}

/// All autoscalers of a namespace, those of KEDA first.
#[derive(Default)]
pub struct Scalers {
    pub all: Vec<Scaler>,
    /// Why not all of them were seen.
    pub blind: Option<Fault>,
}

impl Scalers {
    /// The one that minds an object: of KEDA's two, its own.
    pub fn of(&self, kind: &str, name: &str) -> Option<&Scaler> {
        self.all.iter().find(|it| it.minds(kind, name))
    }
}

impl Spot {
    /// What could be seen of the autoscalers here: who has none, or may not look, is told so by `blind` and not by a failure.
    pub fn scalers(&self) -> BoxFuture<'_, Scalers> {
        Box::pin(async move {
            let (keda, hpa) = tokio::join!(keda(&self.client, &self.namespace), hpa(&self.client, &self.namespace));
            let mut scalers = Scalers::default();
            for found in [keda, hpa] {
                match found {
                    Ok(found) => scalers.all.extend(found),
                    Err(fault) => scalers.blind = Some(fault),
                }
            }
            scalers
        })
    }

    /// Those of KEDA alone.
    ///
    /// # Errors
    /// When they could not be looked at.
    pub fn keda(&self) -> BoxFuture<'_, Result<Scalers, Fault>> {
        Box::pin(async move { Ok(Scalers { all: keda(&self.client, &self.namespace).await?, blind: None }) })
    }
}

async fn keda(client: &Client, namespace: &str) -> Result<Vec<Scaler>, Fault> {
    let (list, found) = client.all_of(&SCALED_OBJECT, namespace).await?;
    Ok(found.iter().filter_map(|it| Scaler::of_keda(it, &list)).collect())
}

async fn hpa(client: &Client, namespace: &str) -> Result<Vec<Scaler>, Fault> {
    for version in VERSIONS {
        let list = format!("/apis/autoscaling/{version}/namespaces/{}/horizontalpodautoscalers", part(namespace));
        if let Some(found) = client.list("list autoscalers", &list).await? {
            return Ok(found.iter().filter_map(|it| Scaler::of_hpa(it, &list)).collect());
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_the_vendors_say_when_they_are_left_out() {
        let hpa = json!({ "metadata": { "name": "h" }, "spec": { "maxReplicas": 5, "scaleTargetRef": { "kind": "Rollout", "name": "cart" } } });
        let hpa = Scaler::of_hpa(&hpa, "/l").unwrap();
        assert_eq!((hpa.bounds.min, hpa.bounds.max, hpa.path.as_str()), (1, 5, "/l/h"));
        assert!(hpa.minds("Rollout", "cart") && !hpa.minds("Deployment", "cart"));
        let keda = json!({ "metadata": { "name": "k" }, "spec": { "scaleTargetRef": { "name": "cart" } } });
        let keda = Scaler::of_keda(&keda, "/l").unwrap();
        assert_eq!((keda.bounds.min, keda.bounds.max), (0, 100));
        assert!(keda.minds("Deployment", "cart"));
    }

    #[test]
    fn keda_takes_zero_back_unless_it_is_paused_and_an_hpa_does_not() {
        let of = |keda| Autoscaler { name: "a".into(), min: 2, max: 4, keda };
        let keda = |at: Option<&str>, paused| Some(Keda { paused_at: at.map(str::to_owned), paused });
        for (keda, zero, full) in [
            (None, true, false),
            (keda(None, false), false, false),
            (keda(Some("0"), false), true, false),
            (keda(Some("2"), false), false, false),
            (keda(Some("5"), false), false, true),
            (keda(None, true), true, true),
        ] {
            let it = of(keda);
            assert_eq!((it.leaves_zero(), it.leaves(3)), (zero, full), "{it:?}");
        }
        let (patch, then) = of(keda(Some("0"), false)).kept_at(3);
        assert_eq!(patch["spec"], json!({ "minReplicaCount": 3, "maxReplicaCount": 4 }));
        assert!(patch["metadata"]["annotations"][PAUSED_AT].is_null(), "a merge patch takes it away: {patch}");
        assert!(then.leaves(3));
    }

    #[test]
    fn what_an_older_journal_holds_is_read() {
        let old = json!({ "name": "auth", "min": 1, "max": 4 });
        let read: Autoscaler = serde_json::from_value(old.clone()).unwrap();
        assert_eq!((read.keda.clone(), serde_json::to_value(read).unwrap()), (None, old));
    }
}
