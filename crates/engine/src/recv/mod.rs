//! What was received: the [`Inbox`] that the transport reads into, and each call's message [`Assembler`].

mod assembler;
mod inbox;

pub(crate) use assembler::{Arena, Assembler, Whole};
pub(crate) use inbox::Inbox;
