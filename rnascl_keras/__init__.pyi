from .errors import UserError as UserError
from .evaluation.evaluate import evaluate as evaluate
from .method.architecture import Architecture as Architecture
from .method.architecture import Tutor as Tutor
from .method.callbacks import ChoiceHistograms as ChoiceHistograms
from .method.callbacks import ChoiceHistory as ChoiceHistory
from .method.callbacks import GumbelTemperatureDecay as GumbelTemperatureDecay
from .method.derive import copy_sliced_weights as copy_sliced_weights
from .method.derive import derive as derive
from .method.distill import CrossLayerDistiller as CrossLayerDistiller
from .method.distiller import Distiller as Distiller
from .method.need import Need as Need
from .method.search import CrossLayerSearch as CrossLayerSearch
from .method.spaces import SearchSpace as SearchSpace
from .method.spaces import Stage as Stage
from .method.supernet import Supernet as Supernet
from .method.terms import CrossEntropy as CrossEntropy
from .method.terms import OutputTerm as OutputTerm
from .method.terms import Term as Term
from .method.trades import Trades as Trades
from .models.saving import save_model as save_model
from .recipe import Recipe as Recipe
from .run.checkpoint import Checkpoint as Checkpoint

__version__: str
