"""The paper: spaces, choices, supernet, losses, search, the derived student and its training.

In the paper's order, with what each file hands out:

- 3.1, attention maps and eq. 1: `attention`, of layers that `taps` names; `teacher` answers;
- 3.2, the choice of tutors: `gumbel.GumbelChoice`, `tutor_choice.TutorChoice`;
- 3.3, the choice of channels: `spaces.SearchSpace` (tables 3 and 4), `blocks`,
  `channel_choice.ChannelChoice`, `supernet.Supernet`; what a student costs: `cost`,
  `latency_table`, and n_f: `cost_term`;
- 3.4, the search by eq. 2: `losses`, `search.CrossLayerSearch`, with `batch_split` and
  `callbacks`; `outcome.SearchOutcome`, and `derive.derive`, an `architecture.Architecture` of it;
- eq. 3 and 4.1, training and TRADES: `distill.CrossLayerDistiller`, eq. 3 by name. Under it
  `distiller.Distiller`, a step of `terms` (also `attention_terms`, `output_losses`,
  `gradient_alignment`, `adversarial_terms`) and an attack (`trades`, `inner_attacks`); ARD, RSLAD,
  AdaAD and IGDM as such: `robust_distillation`.

What search and distillers share is `training`; a `step` is what is known in one.
"""
