"""The room in which strangers' files are opened: a process of its own, limited and watched.

`guarded.GuardedClassifier` is the classifier outside, `worker` the process, `arrays` what both see.
"""
