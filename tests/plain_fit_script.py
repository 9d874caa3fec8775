"""One of several workers: plain `fit` and `evaluate`, as a user of the package writes them."""

import keras
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()

from tiny_models import CLASSES, make_search, tiny_batch, values  # noqa: E402

from rnascl_keras.distribution.distributed_model import DistributedModel  # noqa: E402

images, labels = tiny_batch(50)
with strategy.scope():
    model = make_search()
data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)  # the last has 10
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
data = data.with_options(options)
held_out = tf.data.Dataset.from_tensor_slices((images[:23], labels[:23])).batch(11)
held_out = held_out.with_options(options)  # the last has one: nothing for the second worker
logs = model.fit(data, epochs=2, validation_data=held_out, verbose=0).history
found = model.evaluate(held_out, return_dict=True, verbose=0)
assert model.optimizer.iterations.numpy() == 6

with strategy.scope():  # what it should be: the accuracy of these weights on all 23
    right = np.asarray(model.supernet(images[:23], training=False)).argmax(-1) == labels[:23]
np.testing.assert_allclose(found["accuracy"], right.mean(), rtol=1e-5)
np.testing.assert_allclose(logs["val_accuracy"][-1], right.mean(), rtol=1e-5)
assert np.all(np.isfinite(logs["loss"]))

# A step sends three messages: gradients of weights and of choices, moving statistics
endless = tf.data.Dataset.from_tensor_slices((images, labels)).batch(10, True).repeat()
batches = iter(strategy.distribute_datasets_from_function(lambda context: endless))
model.make_train_function(force=True)
graph = model.train_function.get_concrete_function(batches).graph.as_graph_def()
nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
messages = [node.name for node in nodes if node.op == "CollectiveReduceV2"]
assert len(messages) == 3, messages


class Linear(DistributedModel):
    """With Keras' own steps, which return the metrics."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(CLASSES)

    def call(self, images):
        return self.dense(keras.ops.reshape(images, (-1, images[0].shape.num_elements())))


with strategy.scope():
    linear = Linear()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    linear.compile("sgd", loss, metrics=["accuracy"])
linear.fit(data, epochs=2, verbose=0)
found_by_linear = linear.evaluate(held_out, return_dict=True, verbose=0)
with strategy.scope():
    right = np.asarray(linear(images[:23])).argmax(-1) == labels[:23]
np.testing.assert_allclose(found_by_linear["accuracy"], right.mean(), rtol=1e-5)

total = sum(float(np.abs(value).sum()) for value in values(model.weight_variables))
print("result", keras.__version__, found["loss"], logs["loss"], total)
