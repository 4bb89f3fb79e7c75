//! Numbers held against bounds: what is too much or too little, and how bad that is.

use crate::domain::health::Status;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;

pub const DOWN_ABOVE: Param = Param::optional("down_above", ParamType::Decimal, "a value above this is down");
pub const DOWN_BELOW: Param = Param::optional("down_below", ParamType::Decimal, "a value below this is down");
pub const DEGRADED_ABOVE: Param =
    Param::optional("degraded_above", ParamType::Decimal, "a value above this is degraded");
pub const DEGRADED_BELOW: Param =
    Param::optional("degraded_below", ParamType::Decimal, "a value below this is degraded");

/// What people say about numbers when there are none.
pub const EMPTY: Param = Param::default(
    "empty",
    ParamType::Choice(&["unknown", "healthy", "down"]),
    "unknown",
    "what it means that there is no value at all; `healthy` for a query that only finds what is wrong",
);

/// From where on a value is not well.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    down: (Option<f64>, Option<f64>),
    degraded: (Option<f64>, Option<f64>),
}

impl Bounds {
    /// # Errors
    /// When there is none: then nothing would ever be wrong.
    pub fn of(params: &Params) -> Result<Self, String> {
        let number = |row: Param| params.opt_decimal(row.name);
        let bounds = Self {
            down: (number(DOWN_BELOW), number(DOWN_ABOVE)),
            degraded: (number(DEGRADED_BELOW), number(DEGRADED_ABOVE)),
        };
        match bounds == Self::default() {
            true => Err("nothing says which values are right: set `down_above`, `down_below`, `degraded_above` or \
                         `degraded_below`"
                .into()),
            false => Ok(bounds),
        }
    }

    /// What a value is, and the bound that it passes. What is no number is unknown.
    pub fn judge(&self, value: f64) -> (Status, String) {
        if value.is_nan() {
            return (Status::Unknown, "is not a number".into());
        }
        for (status, (below, above)) in [(Status::Down, self.down), (Status::Degraded, self.degraded)] {
            if let Some(bound) = above.filter(|bound| value > *bound) {
                return (status, format!("is {}, above {}", shown(value), shown(bound)));
            }
            if let Some(bound) = below.filter(|bound| value < *bound) {
                return (status, format!("is {}, below {}", shown(value), shown(bound)));
            }
        }
        (Status::Healthy, format!("is {}", shown(value)))
    }
}

/// What an absence of values means, as the config says.
pub fn of_nothing(params: &Params) -> Status {
    match params.opt_text(EMPTY.name) {
        Some("healthy") => Status::Healthy,
        Some("down") => Status::Down,
        _ => Status::Unknown,
    }
}

/// `0.95`, `1234`, `1.5e12`: as many digits as a person reads.
pub fn shown(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || value.is_infinite() {
        return format!("{value}");
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = if size >= 1000.0 { format!("{value:.1}") } else { format!("{value:.4}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bounds(given: serde_json::Value) -> Bounds {
        Bounds::of(&serde_json::from_value(given).unwrap()).unwrap()
    }

    #[test]
    fn a_value_is_as_bad_as_the_worst_bound_that_it_passes() {
        let high = bounds(json!({ "degraded_above": 0.5, "down_above": 0.9 }));
        let low = bounds(json!({ "down_below": 3 }));
        let rows = [
            (high, 0.5, Status::Healthy),
            (high, 0.51, Status::Degraded),
            (high, 0.91, Status::Down),
            (high, f64::INFINITY, Status::Down),
            (high, f64::NEG_INFINITY, Status::Healthy),
            (high, f64::NAN, Status::Unknown),
            (low, 3.0, Status::Healthy),
            (low, 2.0, Status::Down),
            (low, f64::NAN, Status::Unknown),
        ];
        for (bounds, value, wanted) in rows {
            assert_eq!(bounds.judge(value).0, wanted, "{value}: {bounds:?}");
        }
        assert!(Bounds::of(&Params::default()).is_err(), "nothing would ever be wrong");
    }

    #[test]
    fn a_number_is_shown_as_a_person_reads_it() {
        for (value, text) in [
            (0.95, "0.95"),
            (0.0, "0"),
            (3.0, "3"),
            (1234.56, "1234.6"),
            (100_000.0, "100000"),
            (-0.25, "-0.25"),
            (1.5e12, "1.500e12"),
            (0.00001, "1.000e-5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(shown(value), text);
        }
    }
}
