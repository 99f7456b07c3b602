//! The only room with napi: batches of commands down, slabs of events up (`docs/boundary.md`). Converts and forwards, decides nothing.

mod batch;
mod broker_queries;
mod exports;
mod failure;
mod options;
mod pipes;
mod session;
mod slab;
mod tls_options;
