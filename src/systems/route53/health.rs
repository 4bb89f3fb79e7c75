//! Health checks as Route 53 counts them.

use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckObservation, HealthCheckType};

use crate::domain::health::Status;

/// An endpoint is healthy when more than this share of the checkers says so (developer guide, "How Route 53 determines whether a
/// health check is healthy").
const AGREEMENT: f64 = 0.18;

/// What Route 53 takes an endpoint for. Unknown is never healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy(String),
    Unhealthy(String),
    Unknown(String),
    /// Well but for a routing control, whose position Route 53 does not tell: a standby waits behind one that is off.
    Switched(String),
}

impl Health {
    fn of(healthy: bool, why: String) -> Self {
        if healthy { Self::Healthy(why) } else { Self::Unhealthy(why) }
    }

    /// What is known without a look at the checkers.
    pub fn by_settings(config: &HealthCheckConfig) -> Option<Self> {
        let inverted = config.inverted == Some(true);
        if config.disabled == Some(true) {
            // A disabled check counts as healthy, and inverting turns that round.
            let how =
                if inverted { "disabled and inverted: forced down" } else { "disabled: always counts as healthy" };
            return Some(Self::of(!inverted, how.into()));
        }
        let untold = || format!("Route 53 does not tell the state of a {} check", config.r#type.as_str());
        match &config.r#type {
            HealthCheckType::Calculated | HealthCheckType::CloudwatchMetric => Some(Self::Unknown(untold())),
            HealthCheckType::RecoveryControl => Some(Self::Switched(untold())),
            _ => None,
        }
    }

    /// What the checkers' latest looks come to.
    pub fn by_observations(config: &HealthCheckConfig, observations: &[HealthCheckObservation]) -> Self {
        let told = observations.iter().filter_map(|it| it.status_report.as_ref()?.status.as_deref());
        let (mut agree, mut all) = (0_u32, 0_u32);
        for status in told {
            all += 1;
            agree += u32::from(status.starts_with("Success"));
        }
        if all == 0 {
            return Self::Unknown("no checker has reported".into());
        }
        let seen = f64::from(agree) / f64::from(all) > AGREEMENT;
        let inverted = config.inverted == Some(true);
        let how = if inverted { ", inverted" } else { "" };
        Self::of(seen != inverted, format!("{agree} of {all} checkers reach it{how}"))
    }

    /// What a calculated check makes of those that it counts: what is not known of one may count either way.
    pub fn by_children(config: &HealthCheckConfig, children: &[Self]) -> Self {
        let enough = usize::try_from(config.health_threshold.unwrap_or_default()).unwrap_or_default();
        let count = |wanted: fn(&Self) -> bool| children.iter().filter(|child| wanted(child)).count();
        let (well, switched) =
            (count(|it| matches!(it, Self::Healthy(_))), count(|it| matches!(it, Self::Switched(_))));
        let unknown = count(|it| matches!(it, Self::Unknown(_)));
        let ill: Vec<&str> = children.iter().filter(|it| !matches!(it, Self::Healthy(_))).map(Self::words).collect();
        let all = children.len();
        let words = match ill.is_empty() {
            true => format!("all {all} health checks that it counts are healthy"),
            false => format!("{well} of {all} health checks that it counts are healthy ({})", ill.join("; ")),
        };
        let inverted = config.inverted == Some(true);
        match enough {
            _ if well >= enough => Self::of(!inverted, words),
            _ if well + switched >= enough && !inverted => Self::Switched(words),
            _ if well + switched + unknown >= enough => Self::Unknown(words),
            _ => Self::of(inverted, words),
        }
    }

    pub fn status(&self) -> Status {
        match self {
            Self::Healthy(_) => Status::Healthy,
            Self::Unhealthy(_) => Status::Down,
            Self::Unknown(_) | Self::Switched(_) => Status::Unknown,
        }
    }

    pub fn words(&self) -> &str {
        match self {
            Self::Healthy(why) | Self::Unhealthy(why) | Self::Unknown(why) | Self::Switched(why) => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::StatusReport;

    use super::*;

    fn config(kind: HealthCheckType, inverted: bool, disabled: bool) -> HealthCheckConfig {
        HealthCheckConfig::builder().r#type(kind).inverted(inverted).disabled(disabled).build().unwrap()
    }

    fn seen_by(agree: usize, all: usize) -> Vec<HealthCheckObservation> {
        let status = |nth| if nth < agree { "Success: HTTP Status Code 200, OK" } else { "Failure: timed out" };
        let report = |nth| StatusReport::builder().status(status(nth)).build();
        (0..all).map(|nth| HealthCheckObservation::builder().status_report(report(nth)).build()).collect()
    }

    #[test]
    fn more_than_18_percent_have_to_agree() {
        let plain = config(HealthCheckType::Http, false, false);
        assert_eq!(Health::by_observations(&plain, &seen_by(18, 100)).status(), Status::Down);
        assert_eq!(Health::by_observations(&plain, &seen_by(19, 100)).status(), Status::Healthy);
        assert_eq!(Health::by_observations(&plain, &[]).status(), Status::Unknown);
        let inverted = config(HealthCheckType::Http, true, false);
        assert_eq!(Health::by_observations(&inverted, &seen_by(0, 100)).status(), Status::Healthy);
    }

    #[test]
    fn disabled_means_healthy_and_inverted_turns_it_round() {
        let status = |inverted, disabled| {
            Health::by_settings(&config(HealthCheckType::Http, inverted, disabled)).map(|health| health.status())
        };
        assert_eq!(status(false, true), Some(Status::Healthy));
        assert_eq!(status(true, true), Some(Status::Down));
        assert_eq!(status(true, false), None);
        let calculated = config(HealthCheckType::Calculated, false, false);
        assert_eq!(Health::by_settings(&calculated).map(|health| health.status()), Some(Status::Unknown));
    }

    #[test]
    fn what_is_not_known_of_a_child_may_count_either_way() {
        let (well, ill) = (Health::Healthy("yes".into()), Health::Unhealthy("no".into()));
        let (unknown, switch) = (Health::Unknown("who knows".into()), Health::Switched("its switch".into()));
        let rows = [
            (2, vec![&well, &well], false, Status::Healthy),
            (2, vec![&well, &ill], false, Status::Down),
            (1, vec![&well, &ill], false, Status::Healthy),
            (2, vec![&well, &unknown], false, Status::Unknown),
            (1, vec![&well, &unknown], false, Status::Healthy),
            (2, vec![&ill, &unknown], false, Status::Down),
            (2, vec![&ill, &switch], false, Status::Down),
            (1, vec![&well, &switch], false, Status::Healthy),
            (2, vec![&well, &ill], true, Status::Healthy),
        ];
        for (enough, children, inverted, wanted) in rows {
            let mut config = config(HealthCheckType::Calculated, inverted, false);
            config.health_threshold = Some(enough);
            let children: Vec<Health> = children.into_iter().cloned().collect();
            assert_eq!(Health::by_children(&config, &children).status(), wanted, "{enough} of {children:?}");
        }
        let of = |inverted, children: [&Health; 3]| {
            let mut config = config(HealthCheckType::Calculated, inverted, false);
            config.health_threshold = Some(3);
            Health::by_children(&config, &children.map(Health::clone))
        };
        assert!(matches!(of(false, [&well, &well, &switch]), Health::Switched(_)), "a switch alone is not told");
        assert!(matches!(of(false, [&well, &unknown, &switch]), Health::Unknown(_)));
        assert!(matches!(of(true, [&well, &well, &switch]), Health::Unknown(_)));
    }
}
