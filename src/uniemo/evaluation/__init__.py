"""Evaluation of understanding and generation, and its report.

:mod:`uniemo.evaluation.evaluate` (the command ``uniemo eval``) writes ``metrics.json``. Its keys
are stable; what could not be measured is null or absent, shares lie in [0, 1]:

- ``experiment``, ``checkpoint`` (or the folder of images), ``seed``, ``protocol``.
- ``understanding``, of the test split: ``accuracy``, ``accuracy_polarity``, ``f1_macro``, ``ece``,
  ``confusion`` (counts, rows are the true emotions), ``ceiling`` (the best accuracy possible,
  where the data have it), ``linear_probe`` (accuracy on frozen CLIP features).
- ``generation``: ``checkpoint`` (of the joint phase where the evaluated one has no diffusion head),
  ``n_images``, ``fid``, ``fid_features``, ``fid_reference``, ``kid``,
  ``diversity``, ``diversity_metric``, ``density``, ``coverage``, ``emo_a_8``, ``emo_a_2``,
  ``judge``, ``judge_accuracy_real``, ``judge_accuracy_reconstructed``, ``sem_c``,
  ``sem_c_classifiers``, ``sem_d``, ``sem_d_features``, ``near_copies`` (share of images nearer
  to a training image than 99 % of real test images), ``per_emotion`` (emotion -> the same by
  emotion), ``published`` (with ``--protocol published``: ``sem_d`` and ``diversity`` on the
  published scripts' pairs).
- ``queries``: ``pointing_scene``, ``pointing_object``, ``pointing_chance``; empty without boxes.

``intervals`` in a group holds bootstrap 95 % intervals by key.
"""
