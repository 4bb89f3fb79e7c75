//! What turns what is wanted into what runs: the deployment controller, the autoscaler, the scheduler, and the nodes' kubelets.

use std::time::Duration;

use jiff::Timestamp;

use super::super::faults::Condition;
use super::super::world::{Pace, Tick};
use super::{
    CUT, Cluster, Deployment, Kind, NAMESPACE, NODE_CPU, Node, OLDER, PLACE, POD_CPU, Pod, QUOTA, VERSION, image,
};

/// How long the controller needs to notice a changed deployment.
const NOTICE: Duration = Duration::from_secs(1);
/// How long a pod needs from its node to its first green readiness probe, and from its deletion to its end.
const START: Duration = Duration::from_secs(25);
const STOP: Duration = Duration::from_secs(3);
/// A node that is silent for so long is not ready (`--node-monitor-grace-period`), and is rid of its pods so much later (the toleration
/// that every pod has for `node.kubernetes.io/unreachable`).
const GRACE: Duration = Duration::from_secs(40);
const EVICTION: Duration = Duration::from_secs(300);
/// How often an autoscaler looks (`--horizontal-pod-autoscaler-sync-period`).
const SYNC: Duration = Duration::from_secs(15);

/// What a node holds.
const SLOTS: usize = (NODE_CPU / POD_CPU) as usize;

pub fn tick(cluster: &mut Cluster, tick: &Tick<'_>) {
    cluster.autoscale(tick);
    cluster.drift(tick);
    cluster.limit(tick);
    cluster.notice(tick);
    for at in 0..cluster.deployments.len() {
        cluster.reconcile(at, tick.now);
    }
    cluster.schedule(tick.now);
    cluster.run_nodes(tick);
    cluster.evict(tick);
    cluster.run_pods(tick);
}

fn due(since: Timestamp, takes: Duration, pace: Pace, now: Timestamp) -> bool {
    since + pace.scale(takes) <= now
}

impl Cluster {
    /// Brings everything that is wanted to run at once: how the world begins.
    pub(super) fn settle(&mut self, at: Timestamp) {
        for nth in 0..self.deployments.len() {
            self.reconcile(nth, at);
        }
        self.schedule(at);
        self.pods.iter_mut().for_each(|pod| pod.ready = Some(at));
    }

    /// The load is what the smallest size carries, so an autoscaler asks for its minimum. One whose deployment was scaled to 0 is off.
    fn autoscale(&mut self, tick: &Tick<'_>) {
        for at in 0..self.autoscalers.len() {
            if tick.now < self.autoscalers[at].due {
                continue;
            }
            self.autoscalers[at].due = tick.now + tick.pace.scale(SYNC);
            let name = self.autoscalers[at].name;
            let Some(target) = self.deployments.iter().position(|it| it.name == name) else { continue };
            let present = self.deployments[target].wanted();
            let bound = |field: &str| self.autoscalers[at].spec[field].as_u64();
            let (min, max) = (bound("minReplicas").unwrap_or(1), bound("maxReplicas").unwrap_or(u64::MAX));
            let (off, desired) = if present == 0 { (true, 0) } else { (false, min.min(max)) };
            if (self.autoscalers[at].off, self.autoscalers[at].desired) != (off, desired) || present != desired {
                (self.autoscalers[at].off, self.autoscalers[at].desired) = (off, desired);
                self.touch(Kind::Autoscaler, name);
            }
            if present != desired {
                self.deployments[target].spec["replicas"] = desired.into();
                self.changed(target, tick.now);
            }
        }
    }

    /// The spec of a deployment changed.
    pub(super) fn changed(&mut self, at: usize, now: Timestamp) {
        let deployment = &mut self.deployments[at];
        deployment.generation += 1;
        deployment.changed = now;
        let name = deployment.name;
        self.touch(Kind::Deployment, name);
        if self.autoscalers.iter().any(|it| it.name == name) {
            self.touch(Kind::Autoscaler, name);
        }
    }

    /// An older version is rolled out, or what runs elsewhere again.
    fn drift(&mut self, tick: &Tick<'_>) {
        let drifts = tick.faults.condition(PLACE, Some(self.region)) == Condition::Drift;
        if drifts == std::mem::replace(&mut self.drifted, drifts) {
            return;
        }
        for at in 0..self.deployments.len() {
            let container = &mut self.deployments[at].spec["template"]["spec"]["containers"][0];
            let name = container["name"].as_str().unwrap_or_default();
            container["image"] = image(name, if drifts { OLDER } else { VERSION }).into();
            self.changed(at, tick.now);
        }
    }

    /// The quota is cut, or given back. What runs already goes on.
    fn limit(&mut self, tick: &Tick<'_>) {
        let full = tick.faults.condition(PLACE, Some(self.region)) == Condition::Full;
        let quota = if full { CUT } else { QUOTA };
        if quota != std::mem::replace(&mut self.quota, quota) {
            self.touch(Kind::Quota, NAMESPACE);
        }
    }

    fn notice(&mut self, tick: &Tick<'_>) {
        for at in 0..self.deployments.len() {
            let deployment = &mut self.deployments[at];
            if deployment.observed == deployment.generation || !due(deployment.changed, NOTICE, tick.pace, tick.now) {
                continue;
            }
            deployment.observed = deployment.generation;
            deployment.replicas = deployment.wanted();
            if deployment.template != deployment.spec["template"] {
                deployment.template = deployment.spec["template"].clone();
                deployment.revision += 1;
                deployment.annotations["deployment.kubernetes.io/revision"] = deployment.revision.to_string().into();
            }
            let name = deployment.name;
            self.touch(Kind::Deployment, name);
        }
    }

    /// Starts and stops pods as a rolling update does, with a quarter more (rounded up) and a quarter less (rounded down).
    fn reconcile(&mut self, at: usize, now: Timestamp) {
        let Deployment { name, replicas, revision, .. } = self.deployments[at];
        let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
        let mut living: Vec<usize> = (0..self.pods.len()).filter(|pod| self.lives(*pod, name)).collect();
        // Those that are of the least use go first: not ready, then young.
        living.sort_by_key(|pod| (self.pods[*pod].ready.is_some(), std::cmp::Reverse(*pod)));
        let (new, old): (Vec<usize>, Vec<usize>) =
            living.iter().copied().partition(|pod| self.pods[*pod].revision == revision);
        let limit = wanted + if old.is_empty() { 0 } else { wanted.div_ceil(4) };
        let missing = wanted.saturating_sub(new.len()).min(limit.saturating_sub(living.len()));
        let ready = |pods: &[usize]| pods.iter().filter(|pod| self.pods[**pod].ready.is_some()).count();
        let spare = ready(&living).saturating_sub(wanted - wanted / 4);
        let old_out = old.len() - ready(&old) + ready(&old).min(spare);
        let surplus = new.len().saturating_sub(wanted);
        for pod in new.into_iter().take(surplus).chain(old.into_iter().take(old_out)) {
            self.pods[pod].leaving = Some(now);
            self.pod_changed(pod);
        }
        // Beyond the quota the API server refuses to make pods; the controller tries again for ever.
        let allowed = usize::try_from(self.quota).unwrap_or(usize::MAX).saturating_sub(self.pods.len());
        (0..missing.min(allowed)).for_each(|_| self.create(name, revision, now));
    }

    fn lives(&self, pod: usize, service: &str) -> bool {
        self.pods[pod].service == service && self.pods[pod].leaving.is_none()
    }

    fn create(&mut self, service: &'static str, revision: u64, now: Timestamp) {
        self.serial += 1;
        let mix = |seed: u64| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let name = format!("{service}-{:08x}-{:05x}", mix(revision), mix(self.serial + 77) & 0xf_ffff);
        self.pods.push(Pod { name, service, revision, created: now, placed: None, ready: None, leaving: None });
        self.pod_changed(self.pods.len() - 1);
    }

    fn pod_changed(&mut self, pod: usize) {
        let (name, service) = (self.pods[pod].name.clone(), self.pods[pod].service);
        self.touched.insert((Kind::Pod, name));
        self.touch(Kind::Deployment, service);
        self.touch(Kind::Quota, NAMESPACE);
    }

    /// Gives each waiting pod the emptiest node that has room; without room it stays Pending.
    fn schedule(&mut self, now: Timestamp) {
        for pod in 0..self.pods.len() {
            if self.pods[pod].placed.is_some() || self.pods[pod].leaving.is_some() {
                continue;
            }
            let free = |node: &usize| SLOTS.saturating_sub(self.on(*node));
            let open = (0..self.nodes.len()).filter(|node| self.nodes[*node].ready && free(node) > 0);
            if let Some(node) = open.max_by_key(|node| (free(node), std::cmp::Reverse(*node))) {
                self.pods[pod].placed = Some((node, now));
                self.pod_changed(pod);
            }
        }
    }

    fn on(&self, node: usize) -> usize {
        self.pods.iter().filter(|pod| pod.placed.is_some_and(|(at, _)| at == node)).count()
    }

    /// A node is broken by a fault of its own, `node-1@us-west-2`, or by that of its zone.
    fn run_nodes(&mut self, tick: &Tick<'_>) {
        for at in 0..self.nodes.len() {
            let Node { name, zone, .. } = self.nodes[at];
            let ready = tick.faults.of_member(name, self.region, name, zone).reachable();
            if self.nodes[at].ready != ready {
                (self.nodes[at].ready, self.nodes[at].since) = (ready, tick.now);
                self.touch(Kind::Node, name);
            }
        }
    }

    /// Pods of a node that does not come back are ended and made anew elsewhere; nothing is while no node at all answers, as the node
    /// controller does it when every zone is disrupted.
    fn evict(&mut self, tick: &Tick<'_>) {
        if !self.nodes.iter().any(|node| node.ready) {
            return;
        }
        let lost = |node: &Node| !node.ready && due(node.since, GRACE + EVICTION, tick.pace, tick.now);
        for at in 0..self.pods.len() {
            let Pod { placed, leaving, .. } = &self.pods[at];
            if leaving.is_none() && placed.is_some_and(|(node, _)| lost(&self.nodes[node])) {
                self.pods[at].leaving = Some(tick.now);
                self.pod_changed(at);
            }
        }
    }

    /// Pods become ready, stop being so by a fault of their service or node, and end.
    fn run_pods(&mut self, tick: &Tick<'_>) {
        for at in 0..self.pods.len() {
            let pod = &self.pods[at];
            let well = |(node, since): (usize, Timestamp)| {
                due(since, START, tick.pace, tick.now)
                    && self.nodes[node].ready
                    && tick.faults.reachable(pod.service, self.region)
            };
            let ready = pod.placed.is_some_and(well);
            if ready != pod.ready.is_some() {
                self.pods[at].ready = ready.then_some(tick.now);
                self.pod_changed(at);
            }
        }
        // Only a kubelet that answers can say that a pod has ended.
        let heard = |pod: &Pod| pod.placed.is_none_or(|(node, _)| self.nodes[node].ready);
        let ended = |pod: &Pod| heard(pod) && pod.leaving.is_some_and(|since| due(since, STOP, tick.pace, tick.now));
        let ended: Vec<bool> = self.pods.iter().map(ended).collect();
        for at in (0..self.pods.len()).rev() {
            if ended[at] {
                self.pod_changed(at);
                self.pods.remove(at);
            }
        }
    }
}
