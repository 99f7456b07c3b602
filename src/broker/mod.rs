//! Room broker.
