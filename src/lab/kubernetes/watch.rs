//! Watches: one JSON line an event, for as long as the client stays.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::world::World;
use super::Kind;
use super::refusal::Refusal;
use super::selector::Selector;
use super::table::table;
use super::view::View;

/// How often a watch looks for news.
const LOOK: Duration = Duration::from_millis(20);
/// How long a watch lasts that does not say.
const LASTS: Duration = Duration::from_secs(1800);

pub struct Watch {
    pub world: World,
    pub region: &'static str,
    pub kind: Kind,
    pub selector: Selector,
    pub as_table: bool,
    /// Events up to this version are known to the client; `None` starts with what there is.
    pub since: Option<u64>,
}

impl Watch {
    pub fn answer(mut self, timeout: Option<u64>) -> Response {
        let mut lines = VecDeque::new();
        if self.since.is_none() {
            self.begin(&mut lines);
        }
        let until = Instant::now() + timeout.map_or(LASTS, Duration::from_secs);
        let stream = unfold((self, lines), move |(mut watch, mut lines)| async move {
            loop {
                if let Some(line) = lines.pop_front() {
                    return Some((Ok::<Bytes, io::Error>(line), (watch, lines)));
                }
                if Instant::now() >= until {
                    return None;
                }
                sleep(LOOK).await;
                watch.look(&mut lines)?;
            }
        });
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response()
    }

    fn begin(&mut self, lines: &mut VecDeque<Bytes>) {
        let truth = self.world.truth();
        let Some(view) = truth.kubernetes.get(self.region).map(|cluster| &cluster.view) else { return };
        let present = view.all(self.kind).filter(|object| self.selector.takes(object));
        lines.extend(present.map(|object| self.line("ADDED", object)));
        self.since = Some(view.version());
    }

    /// Takes up what happened; nothing more will come after a version that is no longer known.
    fn look(&mut self, lines: &mut VecDeque<Bytes>) -> Option<()> {
        let since = self.since?;
        let news = {
            let truth = self.world.truth();
            let view: &View = &truth.kubernetes.get(self.region)?.view;
            view.since(self.kind, since)
        };
        let Some(news) = news else {
            let gone = Refusal::new(StatusCode::GONE, "Expired", format!("too old resource version: {since}"));
            lines.push_back(written(&json!({ "type": "ERROR", "object": gone.status() })));
            self.since = None;
            return Some(());
        };
        for event in news {
            self.since = Some(event.version);
            if self.selector.takes(&event.object) {
                lines.push_back(self.line(event.what, &event.object));
            }
        }
        Some(())
    }

    fn line(&self, what: &str, object: &Value) -> Bytes {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let shown = match self.as_table {
            true => table(self.kind, [object].into_iter(), version),
            false => object.clone(),
        };
        written(&json!({ "type": what, "object": shown }))
    }
}

fn written(line: &Value) -> Bytes {
    format!("{line}\n").into()
}
