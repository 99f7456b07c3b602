//! Who takes how much of something that all share. The one place that decides whose turn it is to give way.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Amounts by account.
#[derive(Debug)]
pub struct Shares<K> {
    by_account: HashMap<K, usize>,
    by_amount: BTreeSet<(usize, K)>,
    total: usize,
}

impl<K: Clone + Eq + Ord + Hash> Shares<K> {
    /// What an account holds.
    pub fn of(&self, account: &K) -> usize {
        self.by_account.get(account).copied().unwrap_or(0)
    }

    /// What all hold together.
    pub fn total(&self) -> usize {
        self.total
    }

    /// An account holds more.
    pub fn add(&mut self, account: K, amount: usize) {
        let held = self.of(&account);
        self.set(account, held.saturating_add(amount));
    }

    /// An account holds less.
    pub fn subtract(&mut self, account: K, amount: usize) {
        let held = self.of(&account);
        self.set(account, held.saturating_sub(amount));
    }

    /// Who holds most, if that is more than `account` holds.
    pub fn greedier_than(&self, account: &K) -> Option<K> {
        let (amount, greediest) = self.by_amount.last()?;
        (greediest != account && *amount > self.of(account)).then(|| greediest.clone())
    }

    /// Those who hold more than so much, who holds most first.
    pub fn above(&self, amount: usize) -> impl Iterator<Item = &K> {
        self.by_amount.iter().rev().take_while(move |(held, _)| *held > amount).map(|(_, account)| account)
    }

    /// Who holds most.
    pub fn greediest(&self) -> Option<K> {
        self.by_amount.last().map(|(_, account)| account.clone())
    }

    fn set(&mut self, account: K, amount: usize) {
        let before = if amount == 0 {
            self.by_account.remove(&account).unwrap_or(0)
        } else {
            self.by_account.insert(account.clone(), amount).unwrap_or(0)
        };
        let mut entry = (before, account);
        self.by_amount.remove(&entry);
        if amount > 0 {
            entry.0 = amount;
            self.by_amount.insert(entry);
        }
        self.total = self.total - before + amount;
    }
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { by_account: HashMap::new(), by_amount: BTreeSet::new(), total: 0 }
    }
}

/// Amounts by owner, and, within what an owner has, by each of its members: a user's connections, or those
/// of one address.
#[derive(Debug)]
pub struct Tiers<O, M> {
    owners: Shares<O>,
    members: HashMap<O, Shares<M>>,
}

impl<O: Clone + Eq + Ord + Hash, M: Clone + Eq + Ord + Hash> Tiers<O, M> {
    /// What all hold together.
    pub fn total(&self) -> usize {
        self.owners.total()
    }

    /// A member holds more.
    pub fn add(&mut self, owner: O, member: M, amount: usize) {
        self.owners.add(owner.clone(), amount);
        self.members.entry(owner).or_default().add(member, amount);
    }

    /// A member holds less.
    pub fn subtract(&mut self, owner: O, member: M, amount: usize) {
        if let Some(members) = self.members.get_mut(&owner) {
            members.subtract(member, amount);
            if members.total() == 0 {
                self.members.remove(&owner);
            }
        }
        self.owners.subtract(owner, amount);
    }

    /// Which member gives way to one that wants more: the greediest of an owner that holds more than this
    /// one; if there is none, of the same owner one that holds more.
    pub fn yielding_to(&self, owner: &O, member: &M) -> Option<M> {
        if let Some(greedier) = self.owners.greedier_than(owner) {
            return self.members.get(&greedier)?.greediest();
        }
        self.members.get(owner)?.greedier_than(member)
    }
}

impl<O, M> Default for Tiers<O, M> {
    fn default() -> Self {
        Self { owners: Shares::default(), members: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn nobody_gives_way_to_one_who_holds_as_much() {
        let mut shares = Shares::default();
        shares.add('a', 3);
        shares.add('b', 2);
        assert_eq!((shares.greedier_than(&'b'), shares.greedier_than(&'a')), (Some('a'), None));
        shares.add('b', 1);
        assert_eq!((shares.greedier_than(&'b'), shares.greedier_than(&'a')), (None, None));
        assert_eq!(shares.greedier_than(&'c'), Some('b'));
    }

    #[test]
    fn the_greediest_owner_gives_way_first_and_within_one_owner_the_greediest_member() {
        let mut tiers = Tiers::default();
        for member in 0..4 {
            tiers.add("crowd", member, 5);
        }
        tiers.add("lone", 9, 7);
        assert_eq!(tiers.yielding_to(&"lone", &9), Some(3), "20 against 7");
        assert_eq!(tiers.yielding_to(&"new", &1), Some(3));
        assert_eq!(tiers.yielding_to(&"crowd", &0), None, "nobody has more");
        assert_eq!(tiers.yielding_to(&"crowd", &8), Some(3), "a newcomer among equals");
        (0..4).for_each(|member| tiers.subtract("crowd", member, 5));
        assert_eq!((tiers.yielding_to(&"lone", &9), tiers.total()), (None, 7));
        assert_eq!(tiers.members.len(), 1);
    }

    proptest! {
        #[test]
        fn shares_are_sums(steps in prop::collection::vec((any::<bool>(), 0..5_u8, 0..9_usize), 0..60)) {
            let (mut shares, mut model) = (Shares::default(), BTreeMap::<u8, usize>::new());
            for (is_more, account, amount) in steps {
                let held = model.entry(account).or_default();
                if is_more {
                    shares.add(account, amount);
                    *held += amount;
                } else {
                    shares.subtract(account, amount);
                    *held = held.saturating_sub(amount);
                }
                prop_assert_eq!(shares.of(&account), *held);
                prop_assert_eq!(shares.total(), model.values().sum::<usize>());
                let most = model.values().max().copied().unwrap_or(0);
                prop_assert_eq!(shares.greediest().map_or(0, |greediest| shares.of(&greediest)), most);
            }
        }
    }
}
