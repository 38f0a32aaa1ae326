from . import plan as plan
from . import publish as publish
from . import record as record
from . import run as run
from .plan import EXPERIMENTS as EXPERIMENTS
from .plan import Experiment as Experiment
from .record import read_records as read_records
from .record import results_folder as results_folder
