//! Policies of users. One that panics fails the calls that it would have placed, and nothing else.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use farcall_core::{Code, Status};
use serde_json::Value;

use super::{
    CallHook, End, Failing, Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Queueing, Registry,
    Resolution, Route, SubchannelId, Update,
};
use crate::Connectivity;

/// A factory of a user.
#[derive(Debug)]
pub(super) struct Foreign(pub(super) Arc<dyn PolicyFactory>);

impl PolicyFactory for Foreign {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let config = catch(|| self.0.parse(config, registry)).unwrap_or_else(|why| Err(panicked(self.name(), &why)))?;
        Ok(Arc::new(ForeignConfig(config)))
    }
}

#[derive(Debug)]
struct ForeignConfig(Arc<dyn PolicyConfig>);

impl PolicyConfig for ForeignConfig {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Guarded {
            name: self.name().into(),
            policy: Quiet(None),
            state: Connectivity::Connecting,
            due: None,
            fault: None,
        })
    }
}

/// A policy whose panics go no further. It is gone then, with its subchannels, and made anew with the next resolution.
struct Guarded {
    name: Arc<str>,
    policy: Quiet,
    /// What it said of itself when it was stepped last.
    state: Connectivity,
    due: Option<Instant>,
    /// What it has panicked with.
    fault: Option<Arc<str>>,
}

/// A policy whose drop panics in silence, as far as others hear of it.
struct Quiet(Option<Box<dyn Policy>>);

impl Drop for Quiet {
    fn drop(&mut self) {
        let policy = self.0.take();
        drop(catch(|| drop(policy)));
    }
}

impl Guarded {
    /// Steps the policy, and asks what it is then.
    fn step<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut dyn Policy, &mut Helper) -> T) -> Option<T> {
        let policy = self.policy.0.as_deref_mut()?;
        let (mark, depth) = (helper.mark(), helper.depth());
        let stepped = catch(|| {
            let value = step(policy, helper);
            (value, policy.state(), policy.poll_timeout())
        });
        match stepped {
            Ok((value, state, due)) => {
                (self.state, self.due) = (state, due);
                for hook in helper.made_since(mark).flat_map(|new| &mut new.hooks) {
                    *hook = Arc::new(GuardedHook(Arc::clone(hook)));
                }
                Some(value)
            }
            Err(why) => {
                helper.unwound(depth);
                self.fail(&why, helper);
                None
            }
        }
    }

    fn fail(&mut self, why: &str, helper: &mut Helper) {
        helper.discard(std::mem::replace(&mut self.policy, Quiet(None)));
        helper.dropped_here();
        self.fault = Some(panicked(&self.name, why).into());
        (self.state, self.due) = (Connectivity::TransientFailure, None);
        helper.changed();
        // The next resolution has another one made.
        helper.resolve_again();
    }

    fn status(&self, text: &str) -> Arc<Status> {
        Arc::new(Status::new(Code::Internal, text.to_owned()))
    }
}

impl Policy for Guarded {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let config: &dyn Any = &*resolution.config;
        let Some(ForeignConfig(config)) = config.downcast_ref() else { return Ok(()) };
        if self.policy.0.is_none() {
            match catch(|| config.policy()) {
                Ok(policy) => (self.policy, self.fault) = (Quiet(Some(policy)), None),
                Err(why) => self.fail(&why, helper),
            }
        }
        let below = Resolution { endpoints: Arc::clone(&resolution.endpoints), config: Arc::clone(config) };
        let result = self.step(helper, |policy, helper| policy.handle_resolution(&below, helper));
        result.unwrap_or_else(|| Err(self.fault.as_deref().unwrap_or_default().to_owned()))
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.step(helper, |policy, helper| policy.handle_subchannel(route, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.step(helper, |policy, helper| policy.handle_timeout(helper));
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.step(helper, |policy, helper| policy.wake(route, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn state(&self) -> Connectivity {
        self.state
    }

    fn picker(&self) -> Arc<dyn Picker> {
        let Some(policy) = &self.policy.0 else {
            return match &self.fault {
                Some(fault) => Arc::new(Failing(self.status(fault))),
                None => Arc::new(Queueing(None)),
            };
        };
        match catch(|| policy.picker()) {
            Ok(picker) => Arc::new(GuardedPicker { name: Arc::clone(&self.name), picker }),
            Err(why) => Arc::new(Failing(self.status(&panicked(&self.name, &why)))),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        let asked = self.policy.0.as_ref().and_then(|policy| catch(|| policy.failure()).ok().flatten());
        asked.or_else(|| self.fault.as_ref().map(|fault| format!("INTERNAL: {fault}").into()))
    }
}

/// A picker whose panic is the end of one call.
struct GuardedPicker {
    name: Arc<str>,
    picker: Arc<dyn Picker>,
}

impl Picker for GuardedPicker {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        catch(|| self.picker.pick(args)).unwrap_or_else(|why| {
            let text = format!("the picker of {}", panicked(&self.name, &why));
            Pick::Fail(Arc::new(Status::new(Code::Internal, text)))
        })
    }
}

/// A hook whose panics are nobody's business but that of the panic hook.
struct GuardedHook(Arc<dyn CallHook>);

impl CallHook for GuardedHook {
    fn started(&self) {
        drop(catch(|| self.0.started()));
    }

    fn ended(&self, end: &End<'_>) {
        drop(catch(|| self.0.ended(end)));
    }
}

fn panicked(name: &str, why: &str) -> String {
    format!("load balancing policy {name} panicked: {why}")
}

/// What a step comes to, or the text that it has panicked with.
fn catch<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    // What it may have left half done is dropped, or was its own.
    catch_unwind(AssertUnwindSafe(step)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
    })
}
