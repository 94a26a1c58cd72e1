// Package repotest guards the repository itself: what the house rules say and
// no compiler checks. It has tests only. They read the tree as it lies on the
// disk, committed or not, and the descriptors of all protos.
//
// A rule that makes the code worse somewhere is broken there with the comment
// that the rule names, which says why; it is not loosened here.
package repotest
