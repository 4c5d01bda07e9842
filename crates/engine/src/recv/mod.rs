//! What was received: the [`Inbox`] that the transport reads into, and each call's message [`Assembler`], which it reads
//! into where a message is large.

mod assembler;
mod body;
mod inbox;

pub(crate) use assembler::{Arena, Assembler, LARGE, Whole};
pub(crate) use inbox::Inbox;
