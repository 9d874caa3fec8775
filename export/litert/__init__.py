"""LiteRT (`.tflite`) files, as microcontrollers and phones take them: written, checked, attacked.

`writing` makes them, `litert_classifier.LiteRTClassifier` is one of them to attack; `reading` says
what stands in a file, `session` runs it, `twin` is the ONNX graph that its gradients come from.
"""
