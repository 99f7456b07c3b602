//! Failures as JavaScript gets them: data, not exceptions, so that `lib` makes the error with the caller's
//! stack.

use crate::base::Failure;
use napi_derive::napi;

/// Why a native call did not do what was asked.
#[napi(object, js_name = "Failure")]
pub struct JsFailure {
    /// Never renamed. Digits stand for a number.
    pub code: String,
    /// A text for people.
    pub message: String,
}

impl From<Failure> for JsFailure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code.to_string(), message: failure.message }
    }
}
