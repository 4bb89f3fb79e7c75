//! `[alerts]`: what is done with what other monitoring says.

use super::params::{self, Context};
use super::read::Table;
use crate::domain::alert::{AlertPolicy, AlertRule};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::time::Span;

pub const ALERTS: &[Param] = &[
    Param::optional(
        "token",
        ParamType::Secret,
        "where the token is kept that a sender on the loopback port has to show (`mayday engine --metrics`); without it that port takes no alerts",
    ),
    Param::default(
        "repeat",
        ParamType::Span,
        "5h",
        "an alert that was not repeated for longer counts no more; a little more than Alertmanager's `repeat_interval`",
    ),
];

pub const COUNT: &[Param] = &[
    Param::required("labels", ParamType::Map, "the labels that an alert has to have; its name is `alertname`"),
    Param::optional(
        "region",
        ParamType::Region,
        "the region that it speaks for; the one of its label `region`, or else the one that serves, when left out",
    ),
    Param::default("after", ParamType::Span, "2m", "so long it has to fire"),
];

/// Reads it; what has mistakes is left out, and said.
pub fn read(root: &Table<'_>, context: &Context<'_>) -> AlertPolicy {
    let Some(table) = root.get("alerts").and_then(|it| it.table("[alerts]")) else {
        return AlertPolicy::default();
    };
    let own = params::read(&table, "[alerts]", ALERTS, context);
    let what = "[[alerts.count]]";
    let rules = table.get("count").map(|it| it.tables(what)).unwrap_or_default();
    let count = rules.into_iter().filter_map(|rule| read_rule(rule, what, context)).collect();
    table.close();
    let repeat = own.opt_span("repeat").map_or(AlertPolicy::default().repeat, Span);
    AlertPolicy { token: own.secret("token"), repeat, count }
}

fn read_rule(table: Table<'_>, what: &str, context: &Context<'_>) -> Option<AlertRule> {
    let given = params::read(&table, what, COUNT, context);
    let labels = given.map("labels");
    if let Some(field) = table.get("labels").filter(|_| labels.is_empty()) {
        field.say("every alert would count", "name the labels of those that mean that the region is lost");
    }
    table.close();
    let region = given.opt_text("region").map(Into::into);
    Some(AlertRule { labels, region, after: Span(given.opt_span("after")?) })
}
