"""A distiller with any terms and any attack: what it computes, leaves out and refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from cached_teacher import build, opened, ten_class_teacher
from tiny_models import make_distiller, make_search, make_teacher, sgd, tiny_batch

from rnascl_keras.errors import UserError
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.distiller import Distiller, needs_of_teacher
from rnascl_keras.method.gradient_alignment import GradientAlignment
from rnascl_keras.method.inner_attacks import GaussianNoise, StepPGD, on_labels, uniform_start
from rnascl_keras.method.losses import kl_divergence
from rnascl_keras.method.need import Need
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.robust_distillation import rslad
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.method.terms import CrossEntropy, OutputTerm, Term
from rnascl_keras.method.trades import Trades, TradesTerm

IMAGES, LABELS = tiny_batch()


class Constant(Term):
    """A term of a known value; it keeps the steps that it saw."""

    def __init__(self, value, weight=1.0, name="constant", **attributes):
        super().__init__(name, weight)
        self.value, self.seen = value, []
        vars(self).update(attributes)

    def compute(self, step):
        self.seen.append(step)
        return tf.constant(self.value) + 0 * tf.reduce_sum(step.logits)


def make(terms, attack=None, **settings):
    keras.utils.set_random_seed(2)
    distiller = Distiller(make_teacher(), make_teacher(), terms, attack, seed=4, **settings)
    distiller.compile(sgd(), run_eagerly=True)
    return distiller


def parts_of(distiller):
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    return {name: float(value) for name, value in found.items()}


def test_the_loss_is_the_weighted_sum_and_unweighted_terms_are_only_reported():
    terms = [Constant(2.0, name="a"), Constant(0.5, name="b"), Constant(0.1, 10.0, "c")]
    found = parts_of(make([*terms, Constant(7.0, None, "d")]))
    accuracy = found.pop("accuracy")
    assert found == pytest.approx({"loss": 3.5, "a": 2.0, "b": 0.5, "c": 0.1, "d": 7.0})
    assert 0 <= accuracy <= 1


def test_a_step_computes_only_what_is_needed(monkeypatch):
    def asked(*_):
        raise AssertionError("it was computed")

    attack = StepPGD(asked, uniform_start(0.1), 0.1, 0.1, 1)
    monkeypatch.setattr(LiveTeacher, "input_gradients", asked)
    plain = Constant(1.0)
    parts_of(make([plain], attack))
    (step,) = plain.seen
    assert step.adversarial is step.gradients is step.adversarial_logits is None
    assert step.teacher_maps == step.activations == {}


def test_a_step_holds_what_is_needed():
    attack = StepPGD(on_labels, uniform_start(0.1), 0.1, 0.05, 2)
    settings = {"student_layers": ["conv2"], "teacher_layers": ["conv3", "conv1"]}
    needy = Constant(1.0, needs=[Need.ADVERSARIAL, Need.INPUT_GRADIENTS], **settings)
    distiller = make([needy], attack)
    before = distiller.teacher(IMAGES), distiller._teacher.answers(IMAGES)[1]
    parts_of(distiller)
    (step,) = needy.seen
    assert list(step.teacher_maps) == ["conv1", "conv3"]
    np.testing.assert_array_equal(step.teacher_maps["conv3"], before[1][:, 2])
    np.testing.assert_array_equal(step.teacher_logits, before[0])
    assert step.activations["conv2"].shape == (20, 8, 8, 6)
    assert step.gradients.shape == step.teacher_gradients.shape == IMAGES.shape
    assert 0 < np.abs(step.adversarial - IMAGES).max() <= 0.1 + 1e-6
    assert step.adversarial_logits.shape == step.logits.shape


def test_one_step_from_a_wide_start_may_leave_the_ball():
    """N-FGSM: a start twice as wide, one step of the radius, and no projection into the ball."""
    attack = StepPGD(on_labels, uniform_start(0.2), epsilon=0.3, step_size=0.1, steps=1)
    distiller = make([Constant(1.0, needs=[Need.ADVERSARIAL])], attack)
    gray = 0.5 + 0 * IMAGES
    step = distiller.attacked(distiller.ask((gray, LABELS)))
    moved = np.abs(np.asarray(step.adversarial) - 0.5)
    assert np.quantile(moved, 0.6) > 0.1 and 0.2 < moved.max() <= 0.3 + 1e-6


def test_a_term_and_an_attack_may_ask_the_teacher_about_other_images():
    """The inner loop raises KL(teacher(x') || student(x')), and so does the term lower it."""

    def on_both(step):
        return lambda x: kl_divergence(step.ask_teacher(x), step.student(x, training=False))

    class Both(Constant):
        def compute(self, step):
            said = step.ask_teacher(step.adversarial)
            return tf.reduce_mean(kl_divergence(said, step.adversarial_logits))

    live = [Need.LIVE_TEACHER]
    attack = StepPGD(on_both, uniform_start(0.01), 0.2, 0.05, 5, needs=live)
    term = Both(0.0, needs=[Need.ADVERSARIAL, *live])
    distiller = make([term], attack)
    for weight in distiller.student.trainable_variables:
        weight.assign(weight * 1.5)
    step = distiller.ask((tf.constant(IMAGES), LABELS))
    raised = on_both(step)
    attacked = distiller.attacked(step).adversarial
    assert np.mean(raised(attacked)) > 1.05 * np.mean(raised(step.images))
    parts = distiller.loss_parts(distiller.attacked(step))
    assert float(parts["loss"]) > 0


def test_what_asks_a_live_teacher():
    assert not needs_of_teacher([CrossEntropy(), TradesTerm()], Trades(), None)
    assert not needs_of_teacher(*rslad(epsilon=0.1, step_size=0.1, steps=1)[:1])
    assert needs_of_teacher([CrossEntropy(), GradientAlignment()])
    assert needs_of_teacher([CrossEntropy()], GaussianNoise(0.1, needs=[Need.LIVE_TEACHER]))


@pytest.mark.parametrize(
    ("terms", "needs"),
    [([CrossEntropy()], set()), ([GradientAlignment()], {Need.INPUT_GRADIENTS})],
)
def test_a_distiller_says_itself_what_it_needs_of_the_teacher(terms, needs):
    asked = []

    def choose(needs):
        asked.append(needs)
        return make_teacher()

    distiller = Distiller(choose, make_teacher(), terms)
    assert asked == [needs]
    assert distiller.teacher.name == "tiny_teacher"


def test_a_cache_does_for_all_but_a_live_teacher(tmp_path):
    build(tmp_path)
    cache = opened(tmp_path)
    robust = rslad(epsilon=0.1, step_size=0.05, steps=1)
    distiller = Distiller(cache, ten_class_teacher(), *robust)
    distiller.compile(sgd())
    batches = cache.training_batches(20)
    history = distiller.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0).history
    assert history["robust_kl"][0] > 0 and history["kl"][0] > 0
    batch = next(iter(batches))
    said = distiller.ask(batch).teacher_logits
    np.testing.assert_array_equal(said, np.float32(batch[0]["teacher_logits"]))
    with pytest.raises(UserError, match="cache does not hold the teacher's answers on other"):
        Distiller(cache, ten_class_teacher(), [Constant(1.0, needs=[Need.LIVE_TEACHER])])


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least one term with a weight"),
        ([CrossEntropy(None)], "at least one term with a weight"),
        ([CrossEntropy(), CrossEntropy()], "'cross_entropy' is taken"),
        ([Constant(1.0, name="loss")], "'loss' is taken"),
        ([KLDistillation(), "kl"], "must be a Term or a keras.*got a str"),
        ([Constant(1.0, teacher_layers=["conv4"])], "'conv4'.*not tapped.*Did you mean 'conv"),
        ([TradesTerm()], "'trades' needs adversarial images; give attack="),
        ([keras.distillation.FeatureDistillation("mse", "conv1", "conv1")], "hidden layers"),
    ],
)
def test_terms_that_do_not_fit_are_told(terms, message):
    with pytest.raises(UserError, match=message):
        make(terms)


def test_eq_3_is_a_list_of_terms():
    distiller = CrossLayerDistiller(
        make_teacher(), make_teacher(), trades=Trades(), gradient_weight=2.0, gamma_t=3.0
    )
    weights = {term.name: term.weight for term in distiller.terms}
    assert weights == {
        "cross_entropy": None,
        "trades": 1.0,
        "kl": 1.0,
        "attention": 3.0,
        "gradient_alignment": 2.0,
    }
    assert isinstance(distiller.terms[2], OutputTerm)


@pytest.mark.parametrize("make_model", [make_distiller, make_search])
def test_a_file_of_the_whole_model_is_refused_and_told_what_to_save(make_model, tmp_path):
    model = make_model()
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "whole.keras", save_weights_only=False)
    with pytest.raises(UserError, match="is not saved whole.*classifier.save.*save_weights_only"):
        model.fit(IMAGES, LABELS, batch_size=20, callbacks=[whole], verbose=0)
    with pytest.raises(UserError, match=f"a {type(model).__name__} is not saved whole"):
        type(model).from_config({})
    model.classifier.save(tmp_path / "trained.keras")
    loaded = keras.models.load_model(tmp_path / "trained.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model.classifier(IMAGES))


def test_a_student_on_its_teacher_s_own_layers_is_refused():
    teacher = ten_class_teacher()
    body = teacher.layers[-2].output
    student = keras.Model(teacher.input, keras.layers.Dense(10, name="head")(body))
    with pytest.raises(UserError, match="share conv1/kernel and .* more weights"):
        Distiller(teacher, student, [CrossEntropy()])
    for layer in student.layers[:-1]:
        layer.trainable = False
    assert Distiller(teacher, student, [CrossEntropy()]).student is student


def test_a_teacher_of_undefined_numbers_is_refused():
    """A ReLU hides them from what it says."""
    teacher = make_teacher()
    kernel, bias = teacher.get_layer("conv1").get_weights()
    teacher.get_layer("conv1").set_weights([kernel * np.nan, bias])
    with pytest.raises(UserError, match="the teacher 'tiny_teacher' holds NaN or infinite"):
        make_distiller(teacher=teacher)


def test_the_teacher_is_neither_saved_with_the_weights_nor_changed_by_loading_them(tmp_path):
    keras.utils.set_random_seed(1)
    first = make([CrossEntropy()])
    first.save_weights(tmp_path / "first.weights.h5")
    other = make_teacher()
    kept = other.get_weights()
    second = Distiller(other, make_teacher(), [CrossEntropy()])
    second.compile(sgd())
    second.load_weights(tmp_path / "first.weights.h5")
    for ours, theirs in zip(second.student.weights, first.student.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for now, before in zip(other.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_evaluate_gives_the_loss_once_and_then_the_accuracy():
    loss, accuracy = make([CrossEntropy()]).evaluate(IMAGES, LABELS, verbose=0)
    assert loss != accuracy and 0 <= accuracy <= 1


def test_a_term_of_one_value_an_image_is_refused():
    with pytest.raises(UserError, match=r"term 'constant' gave values of shape \(20,\); .*mean"):
        parts_of(make([Constant(np.ones(len(IMAGES), np.float32))]))


def test_a_term_whose_own_weights_nothing_would_train_is_refused():
    hint = keras.layers.Dense(2)
    hint.build((None, 3))
    with pytest.raises(UserError, match="'constant' has weights of its own"):
        make([Constant(1.0, hint=hint)])
    hint.trainable = False
    make([Constant(1.0, hint=hint)])


@pytest.mark.parametrize("settings", [(8, 0.1, 1), (float("nan"), 0.1, 1), (0.1, -1, 1)])
def test_radii_and_steps_that_have_no_meaning_are_refused(settings):
    for make_attack in (Trades, lambda *x: StepPGD(on_labels, uniform_start(0.1), *x)):
        named = dict(zip(("epsilon", "step_size", "steps"), settings, strict=True))
        with pytest.raises(UserError, match="epsilon|step_size"):
            make_attack(**named) if make_attack is Trades else make_attack(*settings)
    with pytest.raises(UserError, match="epsilon"):
        make([CrossEntropy()], robust_at=8)


def test_a_keras_loss_of_probabilities_is_refused():
    with pytest.raises(UserError, match="takes the logits for probabilities"):
        OutputTerm(keras.distillation.LogitsDistillation(3.0))
    OutputTerm(keras.distillation.LogitsDistillation(3.0, keras.losses.KLDivergence()))
