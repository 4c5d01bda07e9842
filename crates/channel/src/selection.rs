//! What is asked of a call before it is made: by a service config, or by a resolver that routes calls (gRFC A31).

use std::{any::Any, fmt, sync::Arc, time::Instant};

use farcall_core::Status;

use crate::{MethodConfig, ServiceConfig, resolver::Doorbell};

/// What a call is known by before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `/package.Service/Method`.
    pub path: &'a str,
}

/// What is asked of one call. It is asked for once; each attempt picks from the newest snapshot with it.
#[derive(Default, Debug)]
pub struct Selection<'a> {
    /// Its method's config, if there is one.
    pub method: Option<&'a Arc<MethodConfig>>,
    /// What its picks depend on beside its path: [`PickArgs::attributes`](crate::balancer::PickArgs::attributes).
    pub attributes: Option<Arc<Attributes>>,
    /// Keeps what it is routed to. The call lets go of it when it makes no more attempts.
    pub lease: Option<Arc<Lease>>,
    /// To be passed before its first pick, one after the other.
    pub filters: Filters,
}

/// Says of each call what is asked of it. A service config does; resolvers of richer configs bring their own.
pub trait ConfigSelector: fmt::Debug + Send + Sync {
    /// What is asked of this call.
    ///
    /// # Errors
    /// How the call ends that may not be made.
    fn select(&self, head: &Head<'_>) -> Result<Selection<'_>, Status>;
}

impl ConfigSelector for ServiceConfig {
    fn select(&self, head: &Head<'_>) -> Result<Selection<'_>, Status> {
        Ok(Selection { method: self.method(head.path), ..Selection::default() })
    }
}

/// What a selector says to the pickers of the same resolver.
#[derive(Clone, Default, Debug)]
pub struct Attributes {
    /// The cluster that the call is routed to.
    pub cluster: Option<Arc<str>>,
    /// What policies that hash place the call by.
    pub hash: Option<u64>,
    /// Anything else.
    pub extra: Option<Arc<dyn Any + Send + Sync>>,
}

/// A hold on what calls are routed to: a cluster, which is not let go of before its last call. The selectors that route to it
/// have one, and each call; a resolver keeps it [weakly](std::sync::Weak), and is rung for when the last is gone.
#[derive(Debug)]
pub struct Lease {
    name: Arc<str>,
    bell: Arc<Doorbell>,
}

impl Lease {
    /// On what has this name.
    pub fn new(name: impl Into<Arc<str>>, bell: &Arc<Doorbell>) -> Arc<Lease> {
        Arc::new(Lease { name: name.into(), bell: Arc::clone(bell) })
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// Has a say in one call before its first pick, and hears how it ends. Above the attempts, and within the deadline.
pub trait CallFilter: fmt::Debug + Send {
    /// The call begins.
    fn start(&mut self, head: &Head<'_>, now: Instant) -> Go;

    /// What was asked for by [`Go::Ask`] is here.
    fn handle_answer(&mut self, answer: Result<&[u8], &Status>) -> Go {
        let _ = answer;
        Go::On
    }

    /// The call has ended so.
    fn end(&mut self, status: &Status) {
        let _ = status;
    }
}

/// What a filter says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Go {
    /// The call goes on.
    On,
    /// It goes on then: it rests [until that time](crate::Until::Time).
    At(Instant),
    /// It goes on when the answer is here: it rests [until it is resumed](crate::Until::Resumed).
    Ask(Question),
    /// It ends so.
    End(Status),
}

/// A unary call of the channel's own, which a filter wants made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Whom to ask: a target.
    pub target: Arc<str>,
    /// `/package.Service/Method`.
    pub path: Arc<str>,
    /// The request.
    pub message: Vec<u8>,
}

/// The filters of one call, in order. Without any there is nothing to pass, and nothing is allocated.
#[derive(Default, Debug)]
pub struct Filters {
    filters: Vec<Box<dyn CallFilter>>,
    /// How many have let it pass.
    passed: usize,
}

impl Filters {
    /// These, in this order.
    pub fn new(filters: Vec<Box<dyn CallFilter>>) -> Filters {
        Filters { filters, passed: 0 }
    }

    /// The call begins, or goes on after [`Go::At`].
    pub fn pass(&mut self, head: &Head<'_>, now: Instant) -> Go {
        while let Some(filter) = self.filters.get_mut(self.passed) {
            // One that is asked has its answer to wait for.
            let go = filter.start(head, now);
            if !matches!(go, Go::Ask(_)) {
                self.passed += 1;
            }
            if go != Go::On {
                return go;
            }
        }
        Go::On
    }

    /// What a filter has asked for is here; what it says, and then those after it.
    pub fn handle_answer(&mut self, answer: Result<&[u8], &Status>, head: &Head<'_>, now: Instant) -> Go {
        let Some(filter) = self.filters.get_mut(self.passed) else { return Go::On };
        let go = filter.handle_answer(answer);
        if !matches!(go, Go::Ask(_)) {
            self.passed += 1;
        }
        if go == Go::On { self.pass(head, now) } else { go }
    }

    /// The call has ended so: all hear it whom it had come to, the last first.
    pub fn end(&mut self, status: &Status) {
        let reached = self.filters.len().min(self.passed + 1);
        self.filters.iter_mut().take(reached).rev().for_each(|filter| filter.end(status));
    }
}
