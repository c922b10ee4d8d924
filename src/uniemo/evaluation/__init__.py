"""Evaluation of understanding and generation, and its report.

:mod:`uniemo.evaluation.evaluate` (the command ``uniemo eval``) writes ``metrics.json``. Its keys
are stable; what could not be measured is null or absent, shares lie in [0, 1]:

- ``experiment``, ``checkpoint`` (or the folder of images), ``seed``, ``protocol``, and
  ``emotions``, the names in index order.
- ``understanding``, of the test split: ``accuracy``, ``accuracy_polarity``, ``f1_macro``, ``ece``,
  ``votes_kl``, ``votes_chebyshev`` and ``votes_cosine`` (of predicted to voted distributions, where
  people voted), ``confusion`` (counts, rows are the true emotions), ``ceiling`` and ``bayes_rule``
  (where the data have it: the best accuracy possible, expected and on these very images),
  ``linear_probe`` (accuracy on frozen CLIP features), ``names_baseline`` (of frozen CLIP's names
  and count tables, where there are names).
- ``generation``: ``checkpoint`` (of the joint phase where the evaluated one has no diffusion head),
  ``n_images``, ``fid``, ``fid_features``, ``fid_reference``, ``fid_reconstructed`` (of as many
  reconstructed test images, to the other ones), ``kid``,
  ``diversity``, ``diversity_metric``, ``density``, ``coverage``, ``emo_a_8``, ``emo_a_2``
  (with C emotions ``emo_a_C``; this and ``accuracy_polarity`` where emotions have a polarity),
  ``judge``, ``judge_accuracy_real``, ``judge_accuracy_reconstructed``, ``sem_c``,
  ``sem_c_classifiers``, ``sem_d``, ``sem_d_features``, ``near_copies`` (share of images nearer
  to a training image than 99 % of real test images), ``per_emotion`` (emotion -> the same by
  emotion), ``published`` (with ``--protocol published``: ``fid``, ``diversity``, ``sem_d`` and,
  with ``eval.clarity: resnet50``, ``sem_c`` as the public scripts compute them),
  ``as_published`` (which of these, and ``emo_a``, are by the published measure: its network too).
- ``queries``: ``retrieval_scene``, ``retrieval_object`` (share of annotated images whose name is
  retrieved), ``pointing_scene``, ``pointing_object``, ``pointing_chance`` (where there are boxes).

``intervals`` in a group holds bootstrap 95 % intervals by key.
"""
