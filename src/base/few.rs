//! A list that mostly has one entry.

use std::fmt;
use std::ops::Deref;

/// A list that needs no memory of its own while there is one entry, as there mostly is.
#[derive(Clone)]
pub enum Few<T> {
    /// The only one.
    One(T),
    /// Any number.
    Many(Vec<T>),
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// However it is kept.
impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(many: Vec<T>) -> Self {
        Self::Many(many)
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::One(one) => (Some(one), Vec::new()),
            Self::Many(many) => (None, many),
        };
        one.into_iter().chain(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_the_same_however_it_is_kept() {
        assert_eq!(Few::One(7), Few::from(vec![7]));
        assert_ne!(Few::One(7), Few::from(vec![7, 8]));
        assert_eq!((Few::One(7).len(), Few::from(vec![7, 8]).len()), (1, 2));
        assert_eq!(Few::One(7).into_iter().chain(Few::from(vec![8, 9])).collect::<Vec<_>>(), [7, 8, 9]);
    }
}
