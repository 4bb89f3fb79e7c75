//! What a cluster tells of its own sorts of objects: asked for once, and believed for a while.

use std::sync::PoisonError;

use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::client::Client;
use super::lists::part;
use super::sorts::{BELIEVED, Knob, Sort, WRITING};
use crate::domain::system::Fault;

/// So many groups are asked at once.
const AT_ONCE: usize = 8;

impl Client {
    /// Every custom kind of this server that has a scale subresource. A group that does not answer (an aggregated API that is down) is
    /// passed over: whatever it has, its pods are seen.
    ///
    /// # Errors
    /// When the list of groups could not be read.
    pub fn scalable(&self) -> BoxFuture<'_, Result<Vec<Sort>, Fault>> {
        Box::pin(async move {
            let groups = self.get("list API groups", "/apis").await?.unwrap_or_default();
            let preferred = |group: &Value| Some(group["preferredVersion"]["groupVersion"].as_str()?.to_owned());
            let of = groups["groups"].as_array().into_iter().flatten().filter_map(preferred);
            let custom = of.filter(|version| {
                let group = version.split('/').next().unwrap_or_default();
                group.contains('.') && !group.ends_with(".k8s.io")
            });
            let asked: Vec<BoxFuture<'_, Vec<Sort>>> = custom.map(|version| self.kinds_or_none(version)).collect();
            let told: Vec<Vec<Sort>> = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
            Ok(told.into_iter().flatten().filter(|it| it.knob == Knob::Scale).collect())
        })
    }

    fn kinds_or_none(&self, version: String) -> BoxFuture<'_, Vec<Sort>> {
        Box::pin(async move { self.kinds_of(&version).await.unwrap_or_default() })
    }

    /// The sort of an object by its `apiVersion` and `kind`; `None` when the server does not know it.
    ///
    /// # Errors
    /// When the server did not say.
    pub async fn sort_of(&self, api_version: &str, kind: &str) -> Result<Option<Sort>, Fault> {
        let known = WRITING.iter().find(|it| it.is_of(api_version, kind));
        if let Some(known) = known {
            return Ok(Some((*known).clone()));
        }
        Ok(self.kinds_of(api_version).await?.into_iter().find(|it| it.kind == kind))
    }

    /// All objects of a sort in a namespace, with the path of their list. Where the server has no such kind there are none: to an account
    /// with few rights it says 403 of that as well, and then its groups tell.
    ///
    /// # Errors
    /// When they could not be looked at.
    pub fn all_of<'a>(
        &'a self,
        sort: &'a Sort,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<(String, Vec<Value>), Fault>> {
        Box::pin(self.all_listed(sort, namespace))
    }

    async fn all_listed(&self, sort: &Sort, namespace: &str) -> Result<(String, Vec<Value>), Fault> {
        let what = format!("list {}", sort.resource());
        for path in sort.paths(namespace) {
            match self.list(&what, &path).await {
                Ok(Some(found)) => return Ok((path, found)),
                Ok(None) => {}
                Err(_) if self.lacks(sort).await => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok((String::new(), Vec::new()))
    }

    /// Whether the server said that it has no such group at all.
    pub async fn lacks(&self, sort: &Sort) -> bool {
        let group = sort.group();
        if !group.contains('.') {
            return false;
        }
        let lock = || self.told.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().get(group).filter(|(at, _)| at.elapsed() < BELIEVED) {
            return *known;
        }
        let Ok(found) = self.get("look for an API group", &format!("/apis/{}", part(group))).await else {
            return false;
        };
        lock().insert(group.to_owned(), (Instant::now(), found.is_none()));
        found.is_none()
    }

    async fn kinds_of(&self, api_version: &str) -> Result<Vec<Sort>, Fault> {
        let lock = || self.told.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = lock().get(api_version)
            && at.elapsed() < BELIEVED
        {
            return Ok(known.clone());
        }
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        let path = api_version.split('/').map(part).collect::<Vec<_>>().join("/");
        let list = self.get("list API kinds", &format!("{root}/{path}")).await?.unwrap_or_default();
        let all: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
        let name = |it: &Value| it["name"].as_str().unwrap_or_default().to_owned();
        let scaled: Vec<String> =
            all.iter().filter_map(|it| name(it).strip_suffix("/scale").map(str::to_owned)).collect();
        let own = all.iter().filter(|it| !name(it).contains('/') && it["namespaced"].as_bool() == Some(true));
        let of = |it: &&Value| {
            Sort::told(api_version, it["kind"].as_str().unwrap_or_default(), &name(it), scaled.contains(&name(it)))
        };
        let told: Vec<Sort> = own.map(of).collect();
        lock().insert(api_version.to_owned(), (Instant::now(), told.clone()));
        Ok(told)
    }
}
