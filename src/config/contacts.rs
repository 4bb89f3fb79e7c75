//! `[contacts]`: who is on call, whom to call next, and who helps from outside.

use super::params::{self, Context};
use super::read::Table;
use crate::domain::contacts::{Contact, Contacts, PagerDuty, Support};
use crate::domain::estate::Dependency;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::time::Span;

pub const PAGERDUTY: &[Param] = &[
    Param::required(
        "token",
        ParamType::Secret,
        "where a REST API key of PagerDuty is kept; one that may only read is enough",
    ),
    Param::default(
        "url",
        ParamType::Url,
        "https://api.pagerduty.com",
        "the REST API; https://api.eu.pagerduty.com in Europe",
    ),
    Param::default("policies", ParamType::List, "[]", "only these escalation policies, by id; all when left out"),
    Param::default("every", ParamType::Span, "5m", "how often it is asked"),
];

const PHONE: Param = Param::optional("phone", ParamType::Text, "the number to call");
const LINK: Param = Param::optional("link", ParamType::Url, "where to open a page or a case");

pub const ESCALATION: &[Param] = &[
    Param::required("name", ParamType::Text, "who"),
    Param::optional("role", ParamType::Text, "what they are called for"),
    PHONE,
    LINK,
];

pub const SUPPORT: &[Param] = &[
    Param::required("plan", ParamType::Text, "the support plan, and how soon it answers"),
    Param::optional("account", ParamType::Text, "the account that a case is opened for"),
    PHONE,
    LINK,
];

/// Reads the contacts; what has mistakes is left out, and said.
pub fn read(root: &Table<'_>, context: &Context<'_>) -> Contacts {
    let Some(table) = root.get("contacts").and_then(|it| it.table("[contacts]")) else {
        return Contacts::default();
    };
    let one = |key, what: &str, rows| {
        let own = table.get(key).and_then(|it| it.table(what))?;
        Some(values(own, what, rows, context))
    };
    let pagerduty = one("pagerduty", "[contacts.pagerduty]", PAGERDUTY).and_then(|it| pagerduty(&it));
    let support = one("aws_support", "[contacts.aws_support]", SUPPORT).and_then(|it| support(&it));
    let what = "[[contacts.escalation]]";
    let people = table.get("escalation").map(|it| it.tables(what)).unwrap_or_default();
    let escalation = people.into_iter().filter_map(|it| contact(&values(it, what, ESCALATION, context))).collect();
    table.close();
    Contacts { pagerduty, escalation, support }
}

fn values(table: Table<'_>, what: &str, rows: &'static [Param], context: &Context<'_>) -> Params {
    let params = params::read(&table, what, rows, context);
    table.close();
    params
}

fn text(params: &Params, name: &str) -> Option<String> {
    params.opt_text(name).map(str::to_owned)
}

fn pagerduty(params: &Params) -> Option<PagerDuty> {
    Some(PagerDuty {
        token: params.secret("token")?,
        url: text(params, "url")?,
        policies: params.list("policies"),
        every: Span(params.opt_span("every")?),
    })
}

fn support(params: &Params) -> Option<Support> {
    let of = |name| text(params, name);
    Some(Support { plan: of("plan")?, account: of("account"), phone: of("phone"), link: of("link") })
}

fn contact(params: &Params) -> Option<Contact> {
    let of = |name| text(params, name);
    Some(Contact { name: of("name")?, role: of("role"), phone: of("phone"), link: of("link") })
}

pub const DEPENDENCY: &[Param] = &[
    Param::required("name", ParamType::Text, "what it is"),
    Param::required("region", ParamType::Region, "where it sits"),
    Param::optional("instead", ParamType::Text, "what to use when that region is gone"),
];

/// `[[dependency]]`: what Mayday and its people need, and that sits in one region.
pub fn read_dependencies(root: &Table<'_>, context: &Context<'_>) -> Vec<Dependency> {
    let what = "[[dependency]]";
    let tables = root.get("dependency").map(|it| it.tables(what)).unwrap_or_default();
    let read = |table| {
        let params = values(table, what, DEPENDENCY, context);
        let of = |name| text(&params, name);
        Some(Dependency { name: of("name")?, region: of("region")?.into(), instead: of("instead") })
    };
    tables.into_iter().filter_map(read).collect()
}
