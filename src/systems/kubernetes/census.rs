//! Who is there: what runs pods in the namespaces, by name or all of it, each with whoever scales it.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use serde_json::Value;

use super::presence::Presence;
use super::scalers::Scalers;
use super::sorts::{Knob, ROLLOUT, SERVING, Sort, WRITING};
use super::workload::Workload;
use super::{Cluster, Spot};
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// What was seen of some kinds, and why some of it was not.
#[derive(Default)]
pub struct Census {
    pub all: Vec<Workload>,
    /// Kinds that could not be looked at.
    pub blind: Vec<Fault>,
    /// Why it is not known who scales them.
    pub unscaled: Option<Fault>,
}

impl Spot {
    /// What there is of these kinds here.
    pub fn census(self: Arc<Self>, sorts: &'static [&'static Sort]) -> BoxFuture<'static, Census> {
        Box::pin(async move {
            let lists: Vec<_> = sorts.iter().map(|sort| self.client.all_of(sort, &self.namespace)).collect();
            let mut census = Census::default();
            for (sort, listed) in sorts.iter().zip(join_all(lists).await) {
                match listed {
                    Ok((path, found)) => {
                        census.all.extend(found.iter().map(|object| Workload::of(object, sort, &self).listed_at(&path)))
                    }
                    Err(fault) => census.blind.push(fault),
                }
            }
            // Finished ones are kept for their logs, in hundreds.
            census
                .all
                .retain(|it| it.sort.knob != Knob::Parallelism || it.wanted > 0 || it.all > 0 || it.is_suspended());
            census
        })
    }

    /// The same, and who scales it.
    fn scaled(self: Arc<Self>, sorts: &'static [&'static Sort]) -> BoxFuture<'static, (Census, Scalers)> {
        Box::pin(async move { tokio::join!(self.clone().census(sorts), self.scalers()) })
    }

    /// One object by its kind and name.
    ///
    /// # Errors
    /// When it could not be looked at.
    pub fn object<'a>(
        self: &'a Arc<Self>,
        sort: &'a Sort,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Workload>, Fault>> {
        Box::pin(async move {
            let what = format!("get {} {}", sort.kind.to_lowercase(), clean(name));
            for list in sort.paths(&self.namespace) {
                let path = format!("{list}/{}", super::lists::part(name));
                match self.client.get(&what, &path).await {
                    Ok(Some(object)) => {
                        let mut it = Workload::of(&object, sort, self).listed_at(&list);
                        if sort.knob == Knob::Scale && object["spec"]["replicas"].as_u64().is_none() {
                            self.by_scale(&mut it).await?;
                        }
                        return Ok(Some(it));
                    }
                    Ok(None) => {}
                    Err(_) if self.client.lacks(sort).await => return Ok(None),
                    Err(fault) => return Err(fault),
                }
            }
            Ok(None)
        })
    }

    /// A custom kind may keep its replicas anywhere: its scale subresource knows.
    async fn by_scale(&self, it: &mut Workload) -> Result<(), Fault> {
        let scale =
            self.client.get(&format!("get the scale of {}", it.called()), &format!("{}/scale", it.path)).await?;
        let Some(scale) = scale else { return Ok(()) };
        let number = |pointer: &str| scale.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        (it.wanted, it.all) = (number("/spec/replicas"), number("/status/replicas"));
        if !it.sort.is_known && it.available == 0 {
            it.available = it.all;
        }
        Ok(())
    }

    /// The pods here.
    ///
    /// # Errors
    /// When not all of them could be read.
    pub fn pods(&self) -> BoxFuture<'_, Result<Vec<Value>, Fault>> {
        Box::pin(async move {
            let path = super::sorts::POD.paths(&self.namespace).next().unwrap_or_default();
            self.client.list_of("list pods", &path).await
        })
    }
}

impl Cluster {
    /// Of each API server how silent it is, or nothing when it answers. `sure` waits out what may be no more than slow.
    ///
    /// # Errors
    /// When that cannot be told from here.
    pub fn silence(&self, sure: bool) -> BoxFuture<'_, Result<Vec<Option<String>>, Fault>> {
        Box::pin(async move {
            let asked: Vec<_> = self.clients.iter().map(|client| client.presence(sure)).collect();
            let asked: Vec<Presence> = join_all(asked).await.into_iter().collect::<Result<_, _>>()?;
            let words = |(presence, context): (Presence, &String)| match presence {
                Presence::There | Presence::Slow => None,
                Presence::Silent(words) if self.clients.len() > 1 => Some(format!("{context}: {words}")),
                Presence::Silent(words) => Some(words),
            };
            Ok(asked.into_iter().zip(&self.contexts).map(words).collect())
        })
    }

    /// A read that nobody answers is short when nobody is there, and long when somebody is.
    async fn is_there(&self) -> Result<(), Fault> {
        let silent: Vec<String> = self.silence(false).await?.into_iter().flatten().collect();
        match silent.is_empty() {
            true => Ok(()),
            false => Err(Fault::transient(&self.id, silent.join("; "))
                .next("see whether this host reaches the API server, then retry")),
        }
    }

    /// What there is of these kinds, each with who scales it.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses all.
    pub fn census(&self, sorts: &'static [&'static Sort]) -> BoxFuture<'_, Result<Census, Fault>> {
        Box::pin(async move {
            self.is_there().await?;
            let here: Vec<_> = self.spots.iter().map(|spot| spot.clone().scaled(sorts)).collect();
            let mut whole = Census::default();
            for (census, scalers) in join_all(here).await {
                whole.blind.extend(census.blind);
                whole.all.extend(census.all.into_iter().map(|it| minded(it, &scalers)));
                whole.unscaled = scalers.blind.or(whole.unscaled);
            }
            Ok(whole)
        })
    }

    /// What serves clients, all of it or what is called so: each name leads to one, of whatever kind.
    ///
    /// # Errors
    /// When the API server does not answer; also when a name is nobody's, or two have it.
    pub fn serving<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Census, Fault>> {
        Box::pin(async move {
            let mut census = self.census(&SERVING).await?;
            if names.is_empty() {
                // Who may not look at Rollouts where there are none was told apart before: this is a refusal that counts.
                return match census.blind.pop() {
                    Some(fault) => Err(fault),
                    None => Ok(census),
                };
            }
            let mut found = Vec::new();
            for name in names {
                let mut called: Vec<Workload> = census.all.iter().filter(|it| it.is_called(name)).cloned().collect();
                if called.is_empty() {
                    called = self.elsewhere(name, &census).await?;
                }
                found.push(self.only(name, called)?);
            }
            census.all = found;
            Ok(census)
        })
    }

    /// What is called so of a custom kind that has a scale.
    async fn elsewhere(&self, name: &str, census: &Census) -> Result<Vec<Workload>, Fault> {
        if let Some(fault) = census.blind.first() {
            return Err(fault.clone());
        }
        let mut found = Vec::new();
        for spot in &self.spots {
            let own = spot.own_part(name);
            for sort in spot.client.scalable().await?.iter().filter(|it| it.resource() != ROLLOUT.resource()) {
                let (kind, own) = own.rsplit_once('/').map_or((None, own), |(kind, own)| (Some(kind), own));
                if kind.is_none_or(|kind| sort.is_called(kind)) {
                    found.extend(spot.object(sort, own).await?);
                }
            }
        }
        Ok(found.into_iter().filter(|it| it.is_called(name)).collect())
    }

    fn only(&self, name: &str, called: Vec<Workload>) -> Result<Workload, Fault> {
        let names: Vec<String> = called.iter().map(Workload::key).collect();
        let mut called = called.into_iter();
        match (called.next(), called.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(self.nobody(name)),
            (Some(_), Some(_)) => Err(Fault::permanent(
                &self.id,
                format!("`{}` is the name of several: {}", clean(name), names.join(", ")),
            )
            .next("write one of these in the config instead")),
        }
    }

    /// Nobody has this name.
    pub fn nobody(&self, name: &str) -> Fault {
        let what = format!("there is no deployment {} and nothing else of that name in {}", clean(name), self.place());
        Fault::permanent(&self.id, what).next("run `mayday check`, and look at the config")
    }

    /// Those that a journal knows by these keys; who is gone is left out.
    ///
    /// # Errors
    /// When the API server does not answer, or a kind that is needed could not be looked at.
    pub fn keyed<'a>(&'a self, keys: &'a [String]) -> BoxFuture<'a, Result<Vec<Workload>, Fault>> {
        Box::pin(async move {
            let census = self.census(&WRITING).await?;
            let (found, rest): (Vec<&String>, Vec<&String>) =
                keys.iter().partition(|key| census.all.iter().any(|it| it.key() == **key));
            let mut all: Vec<Workload> = census.all.iter().filter(|it| found.contains(&&it.key())).cloned().collect();
            for key in rest {
                all.extend(self.elsewhere(key, &census).await?);
            }
            Ok(all)
        })
    }
}

/// With whoever scales it.
pub fn minded(mut it: Workload, scalers: &Scalers) -> Workload {
    it.scaler = scalers.of(&it.sort.kind, &it.name).cloned();
    it
}
